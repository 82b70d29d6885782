from setuptools import Extension, setup

setup(
    name="tally",
    version="0.2",
    packages=["tally"],
    package_dir={"tally": "src"},
    ext_modules=[Extension("tally._fast", ["src/_fast.c"])],
)

"""A tool that `cyxmake tools` knows from now on: its programs, its version, how it is installed."""

from cyxmake_cli.tools.table import Tool, ToolKind

TOOL = Tool(
    "frobnicate",
    ToolKind.CODE,
    programs=("frobnicate", "frob"),
    can=("frobnication",),
    packages={"apt": "frobnicate-tools"},
)

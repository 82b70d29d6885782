const fs = require("fs");
const { frame } = require("./lib/frame");

fs.mkdirSync("dist", { recursive: true });
fs.writeFileSync("dist/banner.txt", frame("welcome"));

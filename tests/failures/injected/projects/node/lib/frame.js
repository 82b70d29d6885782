exports.frame = (text) => `* ${text} *\n`;

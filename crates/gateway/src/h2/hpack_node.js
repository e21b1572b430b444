// Reads lists of requests, one list for each connection; writes what Node.js sends for them, in hexadecimal.
const http2 = require('http2');
const { Duplex } = require('stream');

const said = (requests, done) => {
  const sent = [];
  const wire = new Duplex({
    read() {},
    write(bytes, _, next) { sent.push(Buffer.from(bytes)); next(); },
  });
  const session = http2.connect('http://a.example', { createConnection: () => wire });
  session.on('error', () => {});
  for (const { fields, secret } of requests) {
    const request = session.request({ ...fields, [http2.sensitiveHeaders]: secret });
    request.on('error', () => {});
  }
  // Everything is written as soon as the queue is empty.
  const look = (before) => {
    const now = sent.reduce((all, piece) => all + piece.length, 0);
    if (now === before && now > 100) { session.destroy(); return done(Buffer.concat(sent)); }
    setTimeout(look, 5, now);
  };
  setTimeout(look, 5, 0);
};

process.stdin.setEncoding('utf8');
let text = '';
process.stdin.on('data', (piece) => { text += piece; });
process.stdin.on('end', () => {
  const all = JSON.parse(text);
  const next = (at) => {
    if (at === all.length) return;
    said(all[at], (bytes) => { process.stdout.write(bytes.toString('hex') + '\n'); next(at + 1); });
  };
  next(0);
});

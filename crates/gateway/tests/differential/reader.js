// Reads streams with the parser of Node.js (llhttp), as strict as it comes: no leniency flag is set.
//
// In: the kind (1 octet: 0 requests, 1 an answer, 2 an answer to HEAD), the length (4 octets), the stream.
// Out: a line of JSON a stream: its messages, and why reading stopped.
'use strict';
process.removeAllListeners('warning');
process.on('warning', () => {});
const { HTTPParser } = require('_http_common');
const METHODS = require('_http_common').methods;

const ON_HEADERS = HTTPParser.kOnHeaders | 0;
const ON_HEADERS_COMPLETE = HTTPParser.kOnHeadersComplete | 0;
const ON_BODY = HTTPParser.kOnBody | 0;
const ON_MESSAGE_COMPLETE = HTTPParser.kOnMessageComplete | 0;
const MOST_HEAD_BYTES = 1 << 20;

function read(kind, bytes) {
  const messages = [];
  let message = null;
  let early = [];
  let target = '';
  const parser = new HTTPParser();
  parser.initialize(kind === 0 ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, MOST_HEAD_BYTES, 0);
  parser[ON_HEADERS] = (fields, url) => {
    // Heads come in portions, where they are long or follow trailers; fields behind the body are trailers.
    (message ? message.trailers : early).push(...fields);
    if (!message) target += url || '';
  };
  parser[ON_HEADERS_COMPLETE] = (major, minor, fields, method, url, status, reason, upgrade) => {
    const start = kind === 0 ? [METHODS[method], target + (url || '')] : [String(status), reason || ''];
    message = { start, fields: early.concat(fields || []), body: '', trailers: [], whole: false, upgrade };
    early = [];
    target = '';
    messages.push(message);
    // 1: this answer has no body, whatever it says.
    return kind === 2 ? 1 : 0;
  };
  parser[ON_BODY] = (buffer, offset, length) => {
    const piece = offset === undefined ? buffer : buffer.subarray(offset, offset + length);
    message.body += piece.toString('latin1');
  };
  parser[ON_MESSAGE_COMPLETE] = () => {
    message.whole = true;
    message = null;
  };
  let end = null;
  const done = parser.execute(bytes);
  if (done instanceof Error) {
    end = done.code;
  } else {
    const finished = parser.finish();
    if (finished instanceof Error) end = finished.code;
  }
  parser.close();
  return { messages, end };
}

let waiting = Buffer.alloc(0);
process.stdin.on('data', (piece) => {
  waiting = waiting.length ? Buffer.concat([waiting, piece]) : piece;
  let out = '';
  while (waiting.length >= 5) {
    const length = waiting.readUInt32BE(1);
    if (waiting.length < 5 + length) break;
    out += JSON.stringify(read(waiting[0], waiting.subarray(5, 5 + length))) + '\n';
    waiting = waiting.subarray(5 + length);
  }
  if (out) process.stdout.write(out);
});

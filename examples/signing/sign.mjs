#!/usr/bin/env node
// Signs a request and sends it. Needs Node.js alone.
//   sign.mjs [--print DATE] ID SECRET_FILE SCOPE METHOD URL [BODY_FILE]
// With --print and a date like 20261121T183211Z it prints the header fields instead.
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

// Every name and value decoded and encoded anew, always with a `=`, and sorted.
function canonicalQuery(query) {
  // A plus stands for a space. encodeURIComponent leaves five characters that have to be encoded.
  const encoded = (text) =>
    encodeURIComponent(decodeURIComponent(text.replaceAll('+', ' '))).replace(
      /[!'()*]/g,
      (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  const pair = (text) => {
    const cut = text.indexOf('=');
    return cut < 0 ? `${encoded(text)}=` : `${encoded(text.slice(0, cut))}=${encoded(text.slice(cut + 1))}`;
  };
  return query === '' ? '' : query.split('&').map(pair).sort().join('&');
}

function canonicalRequest(method, path, query, headers, body) {
  const fields = Object.entries(headers).map(([name, value]) => [
    name.toLowerCase(),
    value.trim().replace(/ +/g, ' '),
  ]);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    method,
    path,
    canonicalQuery(query),
    ...fields.map(([name, value]) => `${name}:${value}`),
    '',
    fields.map(([name]) => name).join(';'),
    sha256(body),
  ].join('\n');
}

function stringToSign(date, scope, canonical) {
  return `ANTAVO-HMAC-SHA256\n${date}\n${date.slice(0, 8)}/${scope}\n${sha256(canonical)}`;
}

function signingKey(secret, day, scope) {
  const start = Buffer.concat([Buffer.from('ANTAVO'), secret]);
  return [day, ...scope.split('/')].reduce(hmac, start);
}

// The header fields to send: those given, the date, and the signature.
function sign({ id, secret, scope, method, url, headers, body, date }) {
  // URL drops the scheme's own port from `host`, as Node.js does when it sends.
  const { host, pathname, search } = new URL(url);
  const sent = { ...headers, Date: date };
  const canonical = canonicalRequest(method, pathname, search.slice(1), { ...sent, Host: host }, body);
  const day = date.slice(0, 8);
  const key = signingKey(secret, day, scope);
  const signature = hmac(key, stringToSign(date, scope, canonical)).toString('hex');
  const signed = Object.keys({ ...sent, Host: host })
    .map((name) => name.toLowerCase())
    .sort()
    .join(';');
  const credential = `${id}/${day}/${scope}`;
  return {
    ...sent,
    Authorization: `ANTAVO-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`,
  };
}

function send(method, url, headers, body) {
  const { request } = url.startsWith('https:') ? https : http;
  const length = body.length > 0 ? { 'Content-Length': body.length } : {};
  const sending = request(url, { method, headers: { ...headers, ...length } }, (answer) => {
    console.log(answer.statusCode, answer.statusMessage);
    for (let i = 0; i < answer.rawHeaders.length; i += 2) {
      console.log(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
    }
    console.log();
    answer.pipe(process.stdout);
  });
  sending.end(body);
}

let words = process.argv.slice(2);
let date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
const onlyPrint = words[0] === '--print';
if (onlyPrint) {
  date = words[1];
  words = words.slice(2);
}
if (words.length !== 5 && words.length !== 6) {
  console.error('sign.mjs [--print DATE] ID SECRET_FILE SCOPE METHOD URL [BODY_FILE]');
  process.exit(2);
}
const [id, secretFile, scope, method, url, bodyFile] = words;
const secret = Buffer.from(readFileSync(secretFile, 'latin1').replace(/\r?\n$/, ''), 'latin1');
const body = bodyFile === undefined ? Buffer.alloc(0) : readFileSync(bodyFile);
const given = bodyFile === undefined ? {} : { 'Content-Type': 'application/json' };
const headers = sign({ id, secret, scope, method, url, headers: given, body, date });
if (onlyPrint) {
  Object.entries(headers).forEach(([name, value]) => console.log(`${name}: ${value}`));
} else {
  send(method, url, headers, body);
}

// A client of gRPC, from a public library, makes calls of every kind, and prints what it saw of each.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { service } from "./grpc-service.mjs";

const told = JSON.parse(process.env.TOLD);
const grpc = createRequire(told.modules)("@grpc/grpc-js");

const Client = grpc.makeGenericClientConstructor(service, "Greeter");
const credentials = told.ca
  ? grpc.credentials.createSsl(readFileSync(told.ca))
  : grpc.credentials.createInsecure();
const client = new Client(told.address, credentials, { "grpc.max_receive_message_length": -1 });

function metadata(key) {
  const all = new grpc.Metadata();
  if (key) all.set("x-api-key", key);
  all.set("x-trace", "abc, def");
  all.add("x-twice", "1");
  all.add("x-twice", "2");
  all.set("x-blob-bin", Buffer.from([0, 1, 255, 13, 10]));
  all.set("doorward-kind", "root");
  return all;
}

const shown = (status) =>
  ({ code: grpc.status[status.code], details: status.details, metadata: status.metadata.toJSON() });

// What came of a call: its messages, its first metadata, and its status.
function call(name, { key = told.key, messages = [], deadline, paced = false, then } = {}) {
  return new Promise((done) => {
    const seen = { messages: [] };
    const { requestStream, responseStream } = service[name];
    const options = deadline ? { deadline: Date.now() + deadline } : {};
    const one = (error, message) => { if (!error) seen.messages.push(message); };
    const rest = responseStream ? [metadata(key), options] : [metadata(key), options, one];
    const made = requestStream ? client[name](...rest) : client[name](messages[0] ?? {}, ...rest);
    made.on("metadata", (first) => { seen.first = first.toJSON(); });
    made.on("error", () => {});
    made.on("status", (status) => setImmediate(() => done({ ...seen, ...shown(status) })));
    let at = 0;
    const next = () => (at < messages.length ? made.write(messages[at++]) : made.end());
    if (responseStream) {
      made.on("data", (message) => {
        seen.messages.push(message);
        if (paced) next();
      });
    }
    // One at a time, each after the answer to the one before; or all at once, and the end.
    if (requestStream) for (let n = paced ? messages.length : 0; n <= messages.length; n += 1) next();
    then?.(made);
  });
}

const numbers = (count) => Array.from({ length: count }, (_, n) => ({ n }));

async function cancelled() {
  const saw = await call("cancelled");
  if (saw.code !== "OK") throw new Error(JSON.stringify(saw));
  return saw.messages[0].cancelled;
}

async function untilCancelled(count) {
  const end = Date.now() + 10_000;
  for (;;) {
    const now = await cancelled();
    if (now >= count || Date.now() > end) return now;
    await new Promise((again) => setTimeout(again, 20));
  }
}

const saw = {};
saw.say = await call("say", { messages: [{ text: "hello, Zoë" }] });
saw.large = await call("say", { messages: [{ text: "y".repeat(2_000_000) }] });
saw.large.messages = saw.large.messages.map((message) => message.said.text.length);
saw.count = await call("count", { messages: [{ to: 300, size: 5_000 }] });
saw.count.messages = saw.count.messages.map((message) => [message.n, message.text.length]);
saw.sum = await call("sum", { messages: numbers(100) });
saw.nothing = await call("sum");
saw.chat = await call("chat", { messages: numbers(50), paced: true });
saw.fail = await call("fail");
saw.failLater = await call("failLater");
const before = await cancelled();
saw.deadline = await call("wait", { deadline: 300 });
saw.afterDeadline = (await untilCancelled(before + 1)) - before;
saw.cancel = await call("wait", { then: (made) => setTimeout(() => made.cancel(), 100) });
saw.afterCancel = (await untilCancelled(before + 2)) - before;
saw.wrong = await call("say", { key: told.wrong });
saw.wrongStream = await call("count", { key: told.wrong, messages: [{ to: 1, size: 1 }] });
saw.wrongChat = await call("chat", { key: told.wrong, messages: numbers(3) });
saw.none = await call("say", { key: null });
const many = await Promise.all(numbers(150).map((message) => call("say", { messages: [message] })));
saw.many = many.filter((one, n) => one.code === "OK" && one.messages[0].said.n === n).length;
client.close();
console.log(JSON.stringify(saw));

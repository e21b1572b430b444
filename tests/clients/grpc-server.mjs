// A server of gRPC, from a public library. It prints its port, and serves until its input ends.
import { createRequire } from "node:module";
import { service } from "./grpc-service.mjs";

const told = JSON.parse(process.env.TOLD);
const grpc = createRequire(told.modules)("@grpc/grpc-js");

let cancelled = 0;

function trailer(value) {
  const metadata = new grpc.Metadata();
  metadata.set("x-trailer", value);
  metadata.set("x-trailer-bin", Buffer.from([0, 255, 10, 13]));
  return metadata;
}

const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
server.addService(service, {
  say(call, answer) {
    const first = new grpc.Metadata();
    first.set("x-first", "1");
    call.sendMetadata(first);
    answer(null, { said: call.request, metadata: call.metadata.toJSON() }, trailer("say"));
  },
  count(call) {
    for (let n = 0; n < call.request.to; n += 1) call.write({ n, text: "x".repeat(call.request.size) });
    call.end(trailer("count"));
  },
  sum(call, answer) {
    let sum = 0;
    call.on("data", (one) => { sum += one.n; });
    call.on("end", () => answer(null, { sum }, trailer("sum")));
  },
  chat(call) {
    call.on("data", (one) => call.write({ heard: one.n }));
    call.on("end", () => call.end(trailer("chat")));
  },
  fail(call, answer) {
    answer({ code: grpc.status.FAILED_PRECONDITION, details: "no, 100 % not: Ü", metadata: trailer("fail") });
  },
  failLater(call) {
    call.write({ n: 0 });
    call.emit("error", { code: grpc.status.DATA_LOSS, details: "after one", metadata: trailer("later") });
  },
  wait(call) {
    call.on("cancelled", () => { cancelled += 1; });
  },
  cancelled(call, answer) {
    answer(null, { cancelled });
  },
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

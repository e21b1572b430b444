// A service of gRPC without a schema: messages are JSON. Both sides use it.
const serialize = (value) => Buffer.from(JSON.stringify(value));
const deserialize = (bytes) => JSON.parse(bytes.toString());

const method = (name, requestStream, responseStream) => ({
  path: `/doorward.Greeter/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});

export const service = {
  say: method("Say", false, false),
  count: method("Count", false, true),
  sum: method("Sum", true, false),
  chat: method("Chat", true, true),
  fail: method("Fail", false, false),
  failLater: method("FailLater", false, true),
  wait: method("Wait", false, false),
  cancelled: method("Cancelled", false, false),
};

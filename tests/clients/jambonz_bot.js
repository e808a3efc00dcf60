// A bot on @jambonz/sdk, as its users write it: an endpoint of its `makeService.audio`, in streaming mode.
const http = require("http");
const { createEndpoint } = require("@jambonz/sdk/websocket");
const { Ear, tell, tone } = require("./telling.js");

const server = http.createServer();
const quiet = { info: (...line) => console.error(...line), error: (...line) => console.error(...line), debug() {} };
const makeService = createEndpoint({ server, logger: quiet });

const bytes = (samples) => Buffer.from(samples.buffer);

makeService.audio({ path: "/audio" }).on("connection", (stream, request) => {
  const ear = new Ear();
  tell("stream", { provider: "jambonz", call: stream.metadata, headers: request.headers });

  const say = (pitchHz, seconds, name) => {
    stream.sendAudio(bytes(tone(pitchHz, seconds, stream.sampleRate)));
    stream.sendMark(name);
  };
  say(500, 20, "greeting");

  stream.on("audio", (pcm) => {
    const samples = new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length / 2);
    if (ear.feed(samples, stream.sampleRate)) {
      stream.killAudio();
      tell("interrupted");
    }
  });
  stream.on("mark", (mark) => tell("mark", { name: mark.name, outcome: mark.event }));
  stream.on("playDone", (done) => tell("play_done", { id: done.id }));
  stream.on("dtmf", ({ digit }) => {
    tell("dtmf", { digit });
    if (digit === "5") say(900, 0.6, "reply");
    if (digit === "6") {
      // The other way of saying something: a whole clip in one message.
      const clip = bytes(tone(700, 0.6, stream.sampleRate)).toString("base64");
      stream.playAudio(clip, { audioContentType: "raw", sampleRate: stream.sampleRate, id: "clip" });
    }
    if (digit === "#") stream.disconnect();
  });
  stream.on("close", () => tell("ended"));
  stream.on("error", (error) => tell("error", { error: String(error) }));
});

server.listen(0, "127.0.0.1", () => tell("listening", { port: server.address().port }));

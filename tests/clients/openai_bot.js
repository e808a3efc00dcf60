// A bot on @openai/agents: a RealtimeSession over the Twilio transport of @openai/agents-extensions, as its users write it.
// REALTIME_URL is the model (here one that the test plays).
const { WebSocketServer } = require("ws");
const { RealtimeAgent, RealtimeSession } = require("@openai/agents/realtime");
const { setTracingDisabled } = require("@openai/agents");
const { TwilioRealtimeTransportLayer } = require("@openai/agents-extensions");
const { tell } = require("./telling.js");

setTracingDisabled(true);

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("listening", () => tell("listening", { port: server.address().port }));
server.on("connection", async (twilioWebSocket, request) => {
  const transport = new TwilioRealtimeTransportLayer({ twilioWebSocket, url: process.env.REALTIME_URL });
  const session = new RealtimeSession(new RealtimeAgent({ name: "Greeter" }), {
    transport,
    model: "gpt-realtime",
    config: { audio: { output: { voice: "verse" } } }, // without it, the SDK asks the model for 24 kHz
  });

  transport.on("*", ({ type, message }) => {
    if (type !== "twilio_message") return;
    if (message.event === "start") tell("stream", { provider: "twilio", call: message.start, headers: request.headers });
    if (message.event === "mark") tell("mark", { name: message.mark.name });
    if (message.event === "dtmf") {
      tell("dtmf", message.dtmf);
      if (message.dtmf.digit === "5") session.sendMessage("The caller has pressed 5.");
      if (message.dtmf.digit === "#") session.close(), twilioWebSocket.close();
    }
  });
  session.on("audio_interrupted", () => tell("interrupted"));
  session.on("error", (error) => tell("error", { error: JSON.stringify(error) }));
  twilioWebSocket.on("close", () => tell("ended"));
  await session.connect({ apiKey: "test-key" });
});

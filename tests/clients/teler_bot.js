// A bridge on @frejun/teler, as its users write it: its StreamConnector joins the call's stream to REMOTE_URL.
const { WebSocketServer } = require("ws");
const { StreamConnector, StreamOP, StreamType } = require("@frejun/teler");
const { tell } = require("./telling.js");

const relay = async (message) => [message, StreamOP.RELAY];
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("listening", () => tell("listening", { port: server.address().port }));
server.on("connection", (socket) => {
  const connector = new StreamConnector(process.env.REMOTE_URL, StreamType.BIDIRECTIONAL, relay, relay);
  connector.bridgeStream(socket).then(
    () => tell("ended"),
    (error) => tell("error", { error: String(error) }),
  );
});

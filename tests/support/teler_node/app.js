// An application on the Node SDK alone: it places a call, answers its flow request with a stream, and bridges the stream
// to REMOTE_URL. Prints one JSON object a line: what the API answered, what it was told, how it ended.
const http = require("http");
const { WebSocketServer } = require("ws");
const { CallFlow, Client, StreamConnector, StreamOP, StreamType } = require("@frejun/teler");

const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const relay = async (message) => [message, StreamOP.RELAY];
const connector = new StreamConnector(process.env.REMOTE_URL, StreamType.BIDIRECTIONAL, relay, relay);

const server = http.createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => {
    const body = JSON.parse(text);
    const isFlow = request.url === "/flow";
    print(isFlow ? { flow_request: body } : { webhook: body });
    const address = `127.0.0.1:${server.address().port}`;
    const answer = isFlow ? CallFlow.stream(`ws://${address}/stream`, { chunkSize: 100, sampleRate: "8k" }) : {};
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
    if (body.event === "call.completed") setTimeout(() => process.exit(0), 100);
  });
});

new WebSocketServer({ server }).on("connection", (socket) => {
  connector.bridgeStream(socket).catch((error) => print({ error: String(error) }));
});

async function refusal(client, numbers) {
  try {
    await client.calls.create(numbers);
    return null;
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
}

server.listen(0, "127.0.0.1", async () => {
  const own = `http://127.0.0.1:${server.address().port}`;
  const urls = { flow_url: `${own}/flow`, status_callback_url: `${own}/webhook`, record: false };
  const numbers = { from_number: "+15550100", to_number: "+15550101" };
  print({ stranger: await refusal(new Client("wrong"), { ...numbers, ...urls }) });
  const client = new Client(process.env.TELER_API_KEY);
  print({ mistake: await refusal(client, { ...numbers, ...urls, to_number: "12" }) });
  print({ created: await client.calls.create({ ...numbers, ...urls }) });
});

// Starts the Slack emulator on a free port and says where; ends when its standard input does.
import { createEmulator } from "emulate";
import { createServer } from "node:net";

const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const slack = await createEmulator({
  service: "slack",
  port,
  seed: {
    tokens: { [process.env.SLACK_TOKEN]: { login: "admin", scopes: [] } },
    slack: {
      team: { name: "Air", domain: "air" },
      users: ["mia", "ben", "lea", "tom"].map((name) => ({ name, email: `${name}@air.example` })),
      channels: [{ name: "help" }, { name: "safe" }],
      bots: [{ name: "presence" }],
    },
  },
});
console.log(JSON.stringify({ url: slack.url }));
process.stdin.resume();
process.stdin.on("end", async () => {
  await slack.close();
  process.exit(0);
});

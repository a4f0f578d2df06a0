// Starts Bluesky's own servers on free ports and says where; ends when its standard input does.
// DATABASE_URL: an empty PostgreSQL database for the AppView.
import { TestBsky, TestPds, TestPlc, mockNetworkUtilities } from "@atproto/dev-env";
import getPort from "get-port";
import pg from "pg";

// The AppView indexes names for its search by pg_trgm, which a packaged PostgreSQL may lack. Nothing here
// searches for people: those statements do nothing.
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (what, ...rest) {
  const text = typeof what === "string" ? what : what?.text;
  if (!/trgm/i.test(text ?? "")) return query.call(this, what, ...rest);
  const callback = rest.filter((one) => typeof one === "function");
  return query.call(this, "select 1", ...callback);
};

const plc = await TestPlc.create({});
const pdsPort = await getPort();
const appview = await TestBsky.create({
  port: await getPort(),
  plcUrl: plc.url,
  pdsPort,
  repoProvider: `ws://localhost:${pdsPort}`,
  dbPostgresSchema: "appview",
  dbPostgresUrl: process.env.DATABASE_URL,
  notificationsDelayMs: 0,
});
const pds = await TestPds.create({
  port: pdsPort,
  didPlcUrl: plc.url,
  bskyAppViewUrl: appview.url,
  bskyAppViewDid: appview.ctx.cfg.serverDid,
  inviteRequired: false,
});
mockNetworkUtilities(pds, appview);
console.log(JSON.stringify({ url: pds.url }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

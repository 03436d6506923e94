// A school's own program as a partner of the network, written from deploy/contract alone.
//
// It logs in with what the hub's operator handed over, publishes the school's offerings, takes on whoever is referred to
// one of them, and keeps the name and contact that come after the acceptance. It ends when its connection does; whatever
// supervises it starts it again, and nothing is lost: what was not acknowledged waits in the mailbox.
//
//   CODE      the organisation's code          KEYS      file of its private keys (a JWK set)
//   HUB_URI   file with the hub's address      REGISTER  file of the register; made where missing
//   HUB_CA    file of the trusted authority    OFFERINGS file of the school's offerings

import { readFile } from "node:fs/promises";
import amqplib from "amqplib";
import { admit, compose, CONTENT_TYPE, EXCHANGE, Refused } from "./events.js";
import { Register } from "./register.js";
import { open } from "./seal.js";

const { CODE, HUB_URI, HUB_CA, KEYS, REGISTER, OFFERINGS } = process.env;

const connection = await amqplib.connect((await readFile(HUB_URI, "utf8")).trim(), { ca: [await readFile(HUB_CA)] });
const channel = await connection.createConfirmChannel();
const register = await Register.load(REGISTER);

// A log for machines; never anything of a person.
const log = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

/** Publish, and wait until the broker has it. */
async function publish(what) {
  const { event, key } = compose(CODE, what);
  const options = { contentType: CONTENT_TYPE, persistent: true };
  await new Promise((resolve, reject) => {
    channel.publish(EXCHANGE, key, Buffer.from(JSON.stringify(event)), options, (error) =>
      error ? reject(error) : resolve(),
    );
  });
  log("published", { key, id: event.id });
}

async function publishOfferings() {
  for (const { id, ...offering } of JSON.parse(await readFile(OFFERINGS, "utf8"))) {
    await publish({
      name: "offering.published",
      subject: `${CODE}.${id}`,
      to: "all",
      classification: "public",
      sequence: 1,
      data: { provider: CODE, ...offering },
    });
  }
}

/** Whoever is referred is taken on, and starts at once. */
async function takeOn(event) {
  const answer = {
    subject: event.subject,
    to: event.organisation,
    classification: "pseudonymous",
    correlationid: event.correlationid,
    causationid: event.id,
    data: { sender: event.organisation, receiver: CODE },
  };
  await publish({ ...answer, name: "referral.accepted", sequence: 1 });
  await publish({ ...answer, name: "referral.started", sequence: 2 });
  register.referrals[event.subject] = { offering: event.data.offering, sender: event.organisation, contact: null };
}

async function keepContact(event) {
  const person = await open(event, KEYS);
  const referral = register.referrals[person.referral];
  if (referral?.sender !== event.organisation) throw new Refused("referral: is none of this organisation's");
  referral.contact = { given: person.given, family: person.family, phone: person.phone, email: person.email };
}

const HANDLERS = { "referral.requested": takeOn, "client.disclosed": keepContact };

async function take(message) {
  let event;
  try {
    event = admit(message, CODE);
    const mark = `${event.source} ${event.id}`;
    if (!register.seen.has(mark)) {
      await HANDLERS[event.name]?.(event);
      register.seen.add(mark);
    }
    log("taken", { name: event.name, id: event.id });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // Kept for people to look at; without its content, which may be a person's.
    register.refused.push({ key: message.fields.routingKey, id: event?.id ?? null, reason: error.message });
    log("refused", { key: message.fields.routingKey, reason: error.message });
  }
  await register.save();
  channel.ack(message);
}

// A closed connection or channel ends the program, with the reason in its log.
for (const part of [connection, channel]) {
  part.on("error", (error) => log("broken", { reason: error.message }));
  part.on("close", () => process.exit(1));
}
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    connection.removeAllListeners("close");
    channel.removeAllListeners("close");
    connection.close().then(() => process.exit(0));
  });
}

await publishOfferings();
// One at a time, so that what belongs together is answered in order.
await channel.prefetch(1);
await channel.consume(`${CODE}.mailbox`, (message) => message && take(message));
log("ready", {});

// Events of the network: how this program's own are written, and what is checked of those that come.

import { randomUUID } from "node:crypto";

export const EXCHANGE = "network.events";
export const CONTENT_TYPE = "application/cloudevents+json";
const MAX_BYTES = 64 * 1024;
const TYPE = /^fi\.viisikko\.([a-z-]+)\.([a-z-]+)\.v[1-9][0-9]*$/;
const SOURCE = /^urn:viisikko:([a-z]+):[a-z0-9][a-z0-9.-]*$/;

/** An event cannot be taken; the text names the attribute and the rule, and no value. */
export class Refused extends Error {}

/** An event of this organisation, with the routing key that it travels under. */
export function compose(code, { name, subject, to, classification, data, sequence, correlationid, causationid }) {
  const event = {
    specversion: "1.0",
    id: randomUUID(),
    source: `urn:viisikko:${code}:register`,
    type: `fi.viisikko.${name}.v1`,
    subject,
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    destination: to,
    sequence: String(sequence).padStart(10, "0"),
    dataclassification: classification,
    ...(correlationid && { correlationid }),
    ...(causationid && { causationid }),
    data,
  };
  return { event, key: `${name}.${code}.${to}` };
}

/** The event that a message holds; throws Refused where it is none for `code`. */
export function admit(message, code) {
  require(message.content.length <= MAX_BYTES, "body", "has 64 KiB at the most");
  const contentType = message.properties.contentType ?? "";
  require(contentType.split(";")[0].trim() === CONTENT_TYPE, "content type", `must be ${CONTENT_TYPE}`);
  const event = parsed(message.content);
  require(event.specversion === "1.0", "specversion", "must be 1.0");
  for (const attribute of ["id", "source", "type", "subject", "time", "destination", "dataclassification"]) {
    require(typeof event[attribute] === "string" && event[attribute] !== "", attribute, "must be a text");
  }
  const type = TYPE.exec(event.type);
  const source = SOURCE.exec(event.source);
  require(type, "type", "must be fi.viisikko.<aggregate>.<verb>.v<N>");
  require(source, "source", "must be urn:viisikko:<organisation>:<system>");
  require(!Number.isNaN(Date.parse(event.time)), "time", "must be a time with offset");
  require([code, "all"].includes(event.destination), "destination", "is another's");
  const key = `${type[1]}.${type[2]}.${source[1]}.${event.destination}`;
  // The broker guarantees the key's third word; an event that says another is forged.
  require(message.fields.routingKey === key, "routing key", "must agree with type, source and destination");
  return { ...event, name: `${type[1]}.${type[2]}`, organisation: source[1] };
}

function parsed(content) {
  try {
    const event = JSON.parse(content.toString("utf8"));
    if (event !== null && typeof event === "object") return event;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Refused("body: must be one event as JSON");
}

function require(holds, attribute, rule) {
  if (!holds) throw new Refused(`${attribute}: ${rule}`);
}

// What is sealed for this organisation: one compact JWE, bound to its event by its protected header.

import { readFile } from "node:fs/promises";
import { compactDecrypt, decodeProtectedHeader, importJWK } from "jose";
import { Refused } from "./events.js";

const ALGORITHMS = { keyManagementAlgorithms: ["ECDH-ES"], contentEncryptionAlgorithms: ["A256GCM"] };

/** The data of a sealed event; throws Refused where it is for another, for another event, or changed. */
export async function open(event, keysFile) {
  // Read each time: after a rotation the old key is still there beside the new one.
  const { keys } = JSON.parse(await readFile(keysFile, "utf8"));
  try {
    const header = decodeProtectedHeader(event.data);
    const bound = ["id", "source", "subject"].every((attribute) => header[attribute] === event[attribute]);
    const key = keys.find((one) => one.kid === header.kid && one.crv === "X25519");
    if (bound && key) {
      const { plaintext } = await compactDecrypt(event.data, await importJWK(key, "ECDH-ES"), ALGORITHMS);
      return JSON.parse(new TextDecoder().decode(plaintext));
    }
  } catch (error) {
    // The libraries' own texts may hold values.
    throw new Refused("data: cannot be opened", { cause: error.code });
  }
  throw new Refused("data: is sealed for another, or for another event");
}

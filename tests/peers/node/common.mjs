// What the Node peers share: where their packages are, keys that they make, and the line protocol.
//
// One JSON object per line on stdin, with the verb as "do", and one answer per line on stdout. A failure is
// {"error", "message"}; the process goes on.
import { webcrypto } from "node:crypto";
import { request } from "node:https";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Node 18 has the Web Crypto API, but not as a global.
globalThis.crypto ??= webcrypto;

// The packages are installed below target/, not beside this file.
const from = createRequire(pathToFileURL(`${process.env.ISTHMUS_PEERS}/package.json`));

export const installed = async (name) => import(pathToFileURL(from.resolve(name)).href);

const jose = await installed("jose");
const pairs = {};

/// The key pair of a name; made by `keys`.
export const pair = (name) => pairs[name];

/// `{"do": "keys", "name", "alg"}`: a new key pair; answers its public half as {"jwk"}.
export async function keys({ name, alg }) {
  const made = await jose.generateKeyPair(alg, { extractable: true, crv: alg.startsWith("ECDH") ? "P-256" : undefined });
  const use = /^(RSA-OAEP|ECDH)/.test(alg) ? "enc" : "sig";
  pairs[name] = { ...made, kid: name, alg };
  return { jwk: { ...(await jose.exportJWK(made.publicKey)), kid: name, use, alg } };
}

/// A request of the form that a browser posts, as a web server gets it.
export const posted = (url, form) => new Request(url, { method: "POST", body: new URLSearchParams(form) });

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

export async function serve(verbs) {
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    try {
      say((await verbs[command.do](command)) ?? {});
    } catch (error) {
      const message = `${error.message} ${error.cause?.message ?? ""} ${error.cause?.reason ?? error.cause?.claim ?? ""}`.trim();
      say({ error: error.error ?? error.code ?? error.name, message });
    }
  }
}

/// A fetch with a certificate of the application's, if it has one: {"key", "certificate"}, in PEM.
export const fetchWith = (own) => (own ? (url, options) => certified(own, url, options) : meddling);

const certified = ({ key, certificate }, url, { method, headers, body, signal } = {}) =>
  new Promise((resolve, reject) => {
    const options = { method, headers: Object.fromEntries(new Headers(headers)), key, cert: certificate, signal };
    const asked = request(url, options, async (response) => {
      const parts = [];
      for await (const part of response) parts.push(part);
      resolve(new Response(Buffer.concat(parts), { status: response.statusCode, headers: response.headers }));
    });
    asked.on("error", reject);
    asked.end(body?.toString());
  });

let change;

/// `{"do": "alter", "path", "member", "text"?}`: the next JSON answer of that path is altered on its way: the member
/// gets this value, or if there is none its last octet but two is another one.
export function alter(what) {
  change = what;
}

/// A fetch whose answers `alter` can touch.
export async function meddling(url, options) {
  const response = await fetch(url, options);
  if (!change || new URL(url).pathname !== change.path) return response;
  const { member, text } = change;
  change = undefined;
  const body = await response.json();
  const at = body[member].length - 3;
  const other = body[member][at] === "A" ? "B" : "A";
  body[member] = text ?? body[member].slice(0, at) + other + body[member].slice(at + 1);
  return new Response(JSON.stringify(body), { status: response.status, headers: { "content-type": "application/json" } });
}

// An OpenID provider made of oidc-provider: an independent judge of what we ask providers.
//
// Usage: node oidc_provider.mjs
//
// Then the lines of common.mjs. Verbs are those below; somebody called by `login` sits at the browser.
import { createServer } from "node:http";
import { installed, serve } from "./common.mjs";

// What it says of its own defaults would stand between our lines.
for (const loud of ["info", "warn", "log"]) console[loud] = () => {};

const { default: Provider } = await installed("oidc-provider");
const jose = await installed("jose");

const encryption = ["RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"];

let issuer;
let handle;
let settings;
let signing;
let cookies = {};
const seen = [];

const server = createServer((request, response) => {
  seen.push(`${request.method} ${new URL(request.url, issuer).pathname}`);
  handle(request, response);
});

/// A new key; what is signed from now on is signed by it.
async function renew() {
  const kid = `key-${Math.random()}`;
  const keys = [];
  for (const alg of ["RS256", "ES256"]) {
    const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await jose.exportJWK(privateKey)), kid: `${kid}-${alg}`, use: "sig", alg });
  }
  signing = { keys };
}

function begin() {
  const provider = new Provider(issuer, {
    clients: [settings.client],
    jwks: signing,
    cookies: { keys: ["a key of the cookies"] },
    acrValues: ["urn:example:good"],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], acr: null, auth_time: null, sid: null },
    findAccount: (_, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId, name: `${accountId} of acme`, email: `${accountId}@acme.example`, email_verified: true }),
    }),
    // Its own refuses this machine.
    fetch: (url, { method, body, headers, signal } = {}) => fetch(url, { method, body, headers, signal }),
    pkce: { required: () => true },
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"],
    enabledJWA: { idTokenEncryptionAlgValues: encryption, userinfoEncryptionAlgValues: encryption },
    features: {
      encryption: { enabled: true },
      jwtUserinfo: { enabled: true },
      requestObjects: { enabled: true },
      backchannelLogout: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      ...settings.features,
    },
  });
  for (const event of ["pushed_authorization_request.error", "authorization.error", "grant.error"]) {
    provider.on(event, (_, error) => process.stderr.write(`oidc-provider: ${error.error} ${error.error_description} ${error.error_detail}\n`));
  }
  provider.on("server_error", (_, error) => process.stderr.write(`oidc-provider: ${error.stack}\n`));
  handle = provider.callback();
}

/// What a browser does, until it is sent elsewhere: {"url"}, with {"form"} where a page posts it.
async function walk(url, login) {
  let init = {};
  for (let step = 0; step < 20; step += 1) {
    const cookie = Object.entries(cookies).map((pair) => pair.join("=")).join("; ");
    const response = await fetch(url, { ...init, redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value && !/expires=Thu, 01 Jan 1970/i.test(line)) cookies[name] = value;
      else delete cookies[name];
    }
    const to = response.headers.get("location");
    const page = to ? "" : await response.text();
    const action = to ?? /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
    if (!action) return { status: response.status, page };
    const next = new URL(action.replaceAll("&amp;", "&"), url);
    const form = {};
    for (const [input] of page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
      form[/name="([^"]*)"/.exec(input)[1]] = /value="([^"]*)"/.exec(input)[1];
    }
    if (next.origin !== issuer) return { url: next.href, ...(to ? {} : { form }) };
    if (/name="login"/.test(page)) Object.assign(form, { login, password: "any" });
    if (next.pathname.startsWith("/session/end")) form.logout = "yes";
    init = to ? {} : { method: "POST", body: new URLSearchParams(form) };
    url = next;
  }
  throw new Error(`round in circles at ${url}`);
}

await serve({
  // A port of its own: {"issuer"}.
  async listen() {
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    issuer = `http://127.0.0.1:${server.address().port}`;
    await renew();
    return { issuer };
  },
  // Its only client as it is registered, and features of the library.
  register(said) {
    settings = said;
    begin();
  },
  // It signs with new keys from now on, and publishes only those.
  async rotate() {
    await renew();
    begin();
  },
  // Somebody signs in, in a browser that was there before or not.
  sign_in({ url, login = "jane", again = false }) {
    if (!again) cookies = {};
    return walk(url, login);
  },
  // The same browser goes somewhere.
  visit: ({ url }) => walk(url),
  // What was asked since the last time: {"asked": ["POST /token", ..]}.
  seen: () => ({ asked: seen.splice(0) }),
});

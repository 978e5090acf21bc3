// An OpenID Connect application made of openid-client: an independent judge of our provider.
//
// Usage: node openid_client.mjs '{"issuer", "client_id", "client_secret", "auth_method", "alg", "redirect_uri"}'
//
// Then one JSON object per line on stdin, and one answer per line on stdout:
//   {"do": "begin", "parameters": {..}}   {"url"}: where the browser goes, with PKCE, state and nonce
//   {"do": "callback", "url"}             {"claims", "id_token", "access_token", "refresh_token"?, "scope"}
//   {"do": "refresh"}                     the same
//   {"do": "userinfo"}                    {"claims"}
//   {"do": "end_session", "parameters"}   {"url"}
// A failure is {"error", "message"}; the process goes on.
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Node 18 has the Web Crypto API, but not as a global.
globalThis.crypto ??= webcrypto;

// The package is installed below target/, not beside this file.
const from = createRequire(pathToFileURL(`${process.env.ISTHMUS_PEERS}/package.json`));
const client = await import(pathToFileURL(from.resolve("openid-client")).href);

const settings = JSON.parse(process.argv[2]);
const authentication = {
  client_secret_basic: () => client.ClientSecretBasic(settings.client_secret),
  client_secret_post: () => client.ClientSecretPost(settings.client_secret),
  none: () => client.None(),
}[settings.auth_method]();
const metadata = { id_token_signed_response_alg: settings.alg };
const config = await client.discovery(new URL(settings.issuer), settings.client_id, metadata, authentication, {
  // Loopback without TLS; and check the ID token's signature, which the library leaves out over TLS.
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
});

let login;
let tokens;

const told = () => ({
  claims: tokens.claims(),
  id_token: tokens.id_token,
  access_token: tokens.access_token,
  refresh_token: tokens.refresh_token,
  scope: tokens.scope,
  expires_in: tokens.expires_in,
});

const verbs = {
  async begin({ parameters = {} }) {
    const verifier = client.randomPKCECodeVerifier();
    login = { verifier, state: client.randomState(), nonce: client.randomNonce() };
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: settings.redirect_uri,
      scope: "openid profile email groups offline_access",
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state: login.state,
      nonce: login.nonce,
      ...parameters,
    });
    return { url: url.href };
  },
  async callback({ url, max_age }) {
    tokens = await client.authorizationCodeGrant(config, new URL(url), {
      pkceCodeVerifier: login.verifier,
      expectedState: login.state,
      expectedNonce: login.nonce,
      idTokenExpected: true,
      maxAge: max_age,
    });
    return told();
  },
  async refresh() {
    tokens = await client.refreshTokenGrant(config, tokens.refresh_token);
    return told();
  },
  async userinfo() {
    return { claims: await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub) };
  },
  async end_session({ parameters = {} }) {
    return { url: client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, ...parameters }).href };
  },
};

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    say(await verbs[command.do](command));
  } catch (error) {
    say({ error: error.error ?? error.code ?? error.name, message: `${error.message} ${error.cause?.message ?? ""}`.trim() });
  }
}

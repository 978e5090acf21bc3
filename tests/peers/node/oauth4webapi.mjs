// An OpenID Connect application made of oauth4webapi and jose, with every check that the library has: an independent judge
// of our provider.
//
// Usage: node oauth4webapi.mjs
//
// Then the lines of common.mjs, with the verbs of openid_client.mjs and those of the end: `issue`, `access_token`.
import { alter, fetchWith, installed, keys, pair, posted, serve } from "./common.mjs";

const oauth = await installed("oauth4webapi");
const jose = await installed("jose");

let cache = {};
let settings;
let as;
let client;
let proof;
let handle;
let login;
let tokens;
let device;

const options = () => ({
  [oauth.allowInsecureRequests]: true,
  [oauth.customFetch]: fetchWith(settings.certificate),
  [oauth.jwksCache]: cache,
  ...(handle && { DPoP: handle }),
  ...(settings.decrypt && { [oauth.jweDecrypt]: decrypt }),
});

async function decrypt(jwe) {
  const { privateKey, alg } = pair(settings.decryption_key);
  const limits = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: settings.decrypt };
  const { plaintext } = await jose.compactDecrypt(jwe, privateKey, limits);
  return new TextDecoder().decode(plaintext);
}

/// The application's own key: the pair with its client_id as name, if the settings say no other.
const signingKey = () => {
  const name = settings.key ?? settings.client_id;
  return { key: pair(name).privateKey, kid: name };
};

const authentication = () =>
  ({
    client_secret_basic: () => oauth.ClientSecretBasic(settings.client_secret),
    client_secret_post: () => oauth.ClientSecretPost(settings.client_secret),
    client_secret_jwt: () => oauth.ClientSecretJwt(settings.client_secret),
    private_key_jwt: () => oauth.PrivateKeyJwt(signingKey()),
    self_signed_tls_client_auth: () => oauth.TlsClientAuth(),
    none: () => oauth.None(),
  })[settings.auth_method]();

async function discover() {
  const issuer = new URL(settings.issuer);
  const asked = { algorithm: settings.algorithm ?? "oidc", ...options() };
  as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, asked));
}

async function start(said) {
  settings = said;
  handle = undefined;
  cache = {};
  await discover();
  client = { client_id: settings.client_id, id_token_signed_response_alg: settings.alg, ...settings.metadata };
  if (settings.dpop) handle = oauth.DPoP(client, pair(settings.dpop));
  proof = authentication();
}

/// A request, and once more when a proof lacked a nonce of the server.
async function processed(ask, read) {
  try {
    return await read(await ask());
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return read(await ask());
  }
}

/// The same for a token endpoint answer, with the signature of its ID token.
async function given(ask, read) {
  tokens = await processed(ask, async (response) => {
    const answer = await read(response);
    if (answer.id_token) await oauth.validateApplicationLevelSignature(as, response, options());
    return answer;
  });
  return told();
}

const told = () => ({ ...tokens, claims: oauth.getValidatedIdTokenClaims(tokens) });

/// The request as a JWT: signed, and encrypted to a key of the provider if `encrypted` names the algorithms.
async function requestObject(parameters, encrypted) {
  const signed = await oauth.issueRequestObject(as, client, parameters, signingKey());
  if (!encrypted) return signed;
  const { keys: ours } = await (await fetch(as.jwks_uri)).json();
  const jwk = ours.find((one) => one.use === "enc" && one.kty === (encrypted.alg.startsWith("RSA") ? "RSA" : "EC"));
  const header = { alg: encrypted.alg, enc: encrypted.enc, cty: "oauth-authz-req+jwt", kid: jwk.kid };
  const sealed = new jose.CompactEncrypt(new TextEncoder().encode(signed)).setProtectedHeader(header);
  return sealed.encrypt(await jose.importJWK(jwk, encrypted.alg));
}

/// An ID token of the authorization endpoint, by itself: the library judges it as one of the token endpoint.
async function implicit(parameters, nonce, max_age) {
  const answer = { access_token: "none", token_type: "bearer", id_token: parameters.get("id_token") };
  parameters.delete("id_token");
  // The library knows `iss` beside codes only; with an ID token it is judged there.
  oauth.validateAuthResponse(as, client, parameters, login.state);
  const response = new Response(JSON.stringify(answer), { headers: { "content-type": "application/json" } });
  const checks = { expectedNonce: nonce, maxAge: max_age, requireIdToken: true, ...options() };
  const read = await oauth.processAuthorizationCodeResponse(as, client, response, checks);
  await oauth.validateApplicationLevelSignature(as, response, options());
  return { claims: oauth.getValidatedIdTokenClaims(read) };
}

const verbs = {
  keys,
  alter,
  start: ({ settings }) => start(settings),
  async register({ settings: said, metadata, token }) {
    settings = said;
    await discover();
    const asked = await oauth.dynamicClientRegistrationRequest(as, metadata, { ...options(), initialAccessToken: token });
    client = await oauth.processDynamicClientRegistrationResponse(asked);
    settings.client_secret = client.client_secret;
    settings.auth_method = client.token_endpoint_auth_method;
    proof = authentication();
    return { registered: client, secret: client.client_secret };
  },
  // `encrypted` beside `signed`: {"alg", "enc"}.
  async begin({ parameters = {}, signed, encrypted, pushed }) {
    login = { verifier: oauth.generateRandomCodeVerifier(), state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce() };
    let request = new URLSearchParams({
      client_id: client.client_id,
      response_type: settings.response_type ?? "code",
      redirect_uri: settings.redirect_uri,
      scope: "openid profile email groups offline_access",
      state: login.state,
      nonce: login.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(login.verifier),
      code_challenge_method: "S256",
      ...parameters,
    });
    if (signed) request = new URLSearchParams({ client_id: client.client_id, request: await requestObject(request, encrypted) });
    if (pushed) {
      const { request_uri } = await processed(
        () => oauth.pushedAuthorizationRequest(as, client, proof, request, options()),
        (response) => oauth.processPushedAuthorizationResponse(as, client, response),
      );
      request = new URLSearchParams({ client_id: client.client_id, request_uri });
    }
    const url = new URL(as.authorization_endpoint);
    for (const [name, value] of request) url.searchParams.append(name, value);
    return { url: url.href };
  },
  async callback({ url, form, max_age, nonce, state }) {
    const at = new URL(url);
    const expected = { state: state ?? login.state, nonce: nonce ?? login.nonce };
    const parameters = () => new URLSearchParams(form ?? (at.hash ? at.hash.slice(1) : at.search));
    if (settings.response_type === "id_token") return implicit(parameters(), expected.nonce, max_age);
    let answer;
    if (settings.response_type === "code id_token") {
      const request = form ? posted(url, form) : at;
      const age = max_age ?? oauth.skipAuthTimeCheck;
      // The stricter one of the two: with `s_hash`.
      answer = await oauth.validateDetachedSignatureResponse(as, client, request, expected.nonce, expected.state, age, options());
    } else {
      answer = oauth.validateAuthResponse(as, client, parameters(), expected.state);
    }
    const ask = () =>
      oauth.authorizationCodeGrantRequest(as, client, proof, answer, settings.redirect_uri, login.verifier, options());
    const checks = { expectedNonce: expected.nonce, maxAge: max_age, requireIdToken: true, ...options() };
    return given(ask, (response) => oauth.processAuthorizationCodeResponse(as, client, response, checks));
  },
  async refresh() {
    const ask = () => oauth.refreshTokenGrantRequest(as, client, proof, tokens.refresh_token, options());
    return given(ask, (response) => oauth.processRefreshTokenResponse(as, client, response, options()));
  },
  async userinfo({ sub } = {}) {
    const expected = sub ?? oauth.getValidatedIdTokenClaims(tokens).sub;
    const ask = () => oauth.userInfoRequest(as, client, tokens.access_token, options());
    const read = async (response) => {
      const claims = await oauth.processUserInfoResponse(as, client, expected, response, options());
      const type = response.headers.get("content-type");
      if (type.startsWith("application/jwt")) await oauth.validateApplicationLevelSignature(as, response, options());
      return { claims, type };
    };
    return processed(ask, read);
  },
  async end_session({ parameters = {} }) {
    const url = new URL(as.end_session_endpoint);
    const all = { client_id: client.client_id, id_token_hint: tokens.id_token, ...parameters };
    for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
    return { url: url.href };
  },
  async age_keys({ seconds }) {
    cache.uat -= seconds;
    // The library keeps its own copy for each metadata object.
    as = { ...as };
    return { kids: cache.jwks.keys.map((key) => key.kid) };
  },
  // `signed`: the answer as a JWT (RFC 9701).
  async introspect({ token, signed }) {
    const asked = { ...options(), requestJwtResponse: signed };
    const response = await oauth.introspectionRequest(as, client, proof, token ?? tokens.access_token, asked);
    const told = await oauth.processIntrospectionResponse(as, client, response, options());
    const type = response.headers.get("content-type");
    if (type.includes("jwt")) await oauth.validateApplicationLevelSignature(as, response, options());
    return { told, type };
  },
  async revoke({ token }) {
    const response = await oauth.revocationRequest(as, client, proof, token ?? tokens.access_token, options());
    await oauth.processRevocationResponse(response);
  },
  async client_credentials({ parameters }) {
    const ask = () => oauth.clientCredentialsGrantRequest(as, client, proof, parameters, options());
    return given(ask, (response) => oauth.processClientCredentialsResponse(as, client, response, options()));
  },
  async exchange({ parameters }) {
    const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    const recognizedTokenTypes = { n_a: () => {} };
    const exchanged = await processed(
      () => oauth.genericTokenEndpointRequest(as, client, proof, grant, parameters, options()),
      (response) => oauth.processGenericTokenEndpointResponse(as, client, response, { ...options(), recognizedTokenTypes }),
    );
    return { exchanged };
  },
  async device_begin({ parameters }) {
    const response = await oauth.deviceAuthorizationRequest(as, client, proof, parameters, options());
    device = await oauth.processDeviceAuthorizationResponse(as, client, response);
    return device;
  },
  async device_end() {
    const ask = () => oauth.deviceCodeGrantRequest(as, client, proof, device.device_code, options());
    const read = (response) => oauth.processDeviceCodeResponse(as, client, response, options());
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, device.interval * 1000));
      try {
        return await given(ask, read);
      } catch (error) {
        if (error.error !== "authorization_pending") throw error;
      }
    }
  },
  async resource({ url }) {
    const ask = () => oauth.protectedResourceRequest(tokens.access_token, "GET", new URL(url), undefined, undefined, options());
    return processed(ask, (response) => ({ status: response.status }));
  },
  // What a resource server finds of an access token that comes with a request: {"claims"}.
  async access_token({ token, audience }) {
    const url = `${audience}notes`;
    const headers = new Headers();
    const access_token = token ?? tokens.access_token;
    if (handle) await proveTo(url, headers, access_token);
    else headers.set("authorization", `Bearer ${access_token}`);
    const checks = { ...options(), requireDPoP: Boolean(handle) };
    return { claims: await oauth.validateJwtAccessToken(as, new Request(url, { headers }), audience, checks) };
  },
};

/// The headers of a request with a bound token, as the library writes them.
async function proveTo(url, headers, token) {
  const seen = async (_, { headers: sent }) => {
    Object.entries(sent).forEach(([name, value]) => headers.set(name, value));
    return new Response();
  };
  await oauth.protectedResourceRequest(token, "GET", new URL(url), undefined, undefined, { DPoP: handle, [oauth.customFetch]: seen });
}

await serve(verbs);

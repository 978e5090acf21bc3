// An OpenID Connect application made of openid-client: an independent judge of our provider.
//
// Usage: node openid_client.mjs ['{"issuer", "client_id", "client_secret", "auth_method", "alg", "redirect_uri", ..}']
//
// Then the lines of common.mjs. Verbs: those below, `keys` and `alter`. Without settings it waits for `start`.
import { alter, fetchWith, installed, keys, pair, posted, serve } from "./common.mjs";

const client = await installed("openid-client");

let settings;
let config;
let login;
let tokens;
let device;
let handle;

/// The application's own key: the pair with its client_id as name, if the settings say no other.
const signingKey = () => {
  const name = settings.key ?? settings.client_id;
  return { key: pair(name).privateKey, kid: name };
};

const authentication = () =>
  ({
    client_secret_basic: () => client.ClientSecretBasic(settings.client_secret),
    client_secret_post: () => client.ClientSecretPost(settings.client_secret),
    client_secret_jwt: () => client.ClientSecretJwt(settings.client_secret),
    private_key_jwt: () => client.PrivateKeyJwt(signingKey()),
    self_signed_tls_client_auth: () => client.TlsClientAuth(),
    none: () => client.None(),
  })[settings.auth_method]();

// Loopback without TLS; and check the ID token's signature, which the library leaves out over TLS.
const careful = [client.allowInsecureRequests, client.enableNonRepudiationChecks];

/// What the settings say beside the registration: the response type, and keys for what is encrypted.
function prepare() {
  config[client.customFetch] = fetchWith(settings.certificate);
  if (settings.response_type === "id_token") client.useIdTokenResponseType(config);
  if (settings.response_type === "code id_token") {
    client.useCodeIdTokenResponseType(config);
    client.enableDetachedSignatureResponseChecks(config);
  }
  if (settings.decrypt) {
    const { privateKey, alg, kid } = pair(settings.decryption_key);
    client.enableDecryptingResponses(config, settings.decrypt, { key: privateKey, alg, kid });
  }
  handle = settings.dpop ? client.getDPoPHandle(config, pair(settings.dpop)) : undefined;
  return {};
}

async function start(said) {
  settings = said;
  const metadata = { id_token_signed_response_alg: settings.alg, ...settings.metadata };
  const { algorithm } = settings;
  const options = { execute: careful, algorithm, [client.customFetch]: fetchWith(settings.certificate) };
  config = await client.discovery(new URL(settings.issuer), settings.client_id, metadata, authentication(), options);
  return prepare();
}

const bound = () => (handle ? { DPoP: handle } : undefined);

const told = () => ({
  claims: tokens.claims(),
  id_token: tokens.id_token,
  access_token: tokens.access_token,
  refresh_token: tokens.refresh_token,
  token_type: tokens.token_type,
  issued_token_type: tokens.issued_token_type,
  scope: tokens.scope,
  expires_in: tokens.expires_in,
});

const verbs = {
  keys,
  alter,
  // The settings of the command line, later: {}.
  start: ({ settings }) => start(settings),
  // The application registers itself, with an initial access token; answers what is registered.
  async register({ settings: said, metadata, token }) {
    settings = said;
    const options = { execute: careful, initialAccessToken: token };
    settings.auth_method = metadata.token_endpoint_auth_method ?? "client_secret_basic";
    config = await client.dynamicClientRegistration(new URL(settings.issuer), metadata, authentication(), options);
    prepare();
    return { registered: config.clientMetadata(), secret: config.clientMetadata().client_secret };
  },
  // Where the browser goes, with PKCE, state and nonce: {"url"}. `signed`: by a request object; `pushed`: by PAR.
  async begin({ parameters = {}, signed, pushed }) {
    const verifier = client.randomPKCECodeVerifier();
    login = { verifier, state: client.randomState(), nonce: client.randomNonce() };
    let request = new URLSearchParams({
      redirect_uri: settings.redirect_uri,
      scope: "openid profile email groups offline_access",
      state: login.state,
      nonce: login.nonce,
      ...(settings.response_type !== "id_token" && {
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      }),
      ...parameters,
    });
    let url = client.buildAuthorizationUrl(config, request);
    if (signed) {
      url = await client.buildAuthorizationUrlWithJAR(config, request, signingKey());
      request = url.searchParams;
    }
    if (pushed) url = await client.buildAuthorizationUrlWithPAR(config, request, bound());
    return { url: url.href };
  },
  // The answer comes back, in the address or in a form: the tokens and the claims of a verified ID token.
  async callback({ url, form, max_age, nonce, state }) {
    const request = form ? posted(url, form) : new URL(url);
    const checks = { expectedState: state ?? login.state, maxAge: max_age };
    const expectedNonce = nonce ?? login.nonce;
    if (settings.response_type === "id_token") {
      return { claims: await client.implicitAuthentication(config, request, expectedNonce, checks) };
    }
    const more = { ...checks, expectedNonce, pkceCodeVerifier: login.verifier, idTokenExpected: true };
    tokens = await client.authorizationCodeGrant(config, request, more, undefined, bound());
    return told();
  },
  async refresh() {
    tokens = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, bound());
    return told();
  },
  async userinfo({ sub } = {}) {
    return { claims: await client.fetchUserInfo(config, tokens.access_token, sub ?? tokens.claims().sub, bound()) };
  },
  async end_session({ parameters = {} }) {
    return { url: client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, ...parameters }).href };
  },
  // As if the keys had been fetched so many seconds earlier.
  async age_keys({ seconds }) {
    const { jwks, uat } = client.getJwksCache(config);
    const metadata = { id_token_signed_response_alg: settings.alg, ...settings.metadata };
    config = new client.Configuration(config.serverMetadata(), settings.client_id, metadata, authentication());
    careful.forEach((execute) => execute(config));
    client.setJwksCache(config, { jwks, uat: uat - seconds });
    prepare();
    return { kids: jwks.keys.map((key) => key.kid) };
  },
  async introspect({ token }) {
    return { told: await client.tokenIntrospection(config, token ?? tokens.access_token) };
  },
  async revoke({ token }) {
    await client.tokenRevocation(config, token ?? tokens.access_token);
  },
  async client_credentials({ parameters }) {
    tokens = await client.clientCredentialsGrant(config, parameters, bound());
    return told();
  },
  async exchange({ parameters }) {
    const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    const exchanged = await client.genericGrantRequest(config, grant, parameters, bound());
    return { exchanged };
  },
  async device_begin({ parameters }) {
    device = await client.initiateDeviceAuthorization(config, parameters);
    return device;
  },
  // Until the person has decided.
  async device_end() {
    tokens = await client.pollDeviceAuthorizationGrant(config, device, undefined, bound());
    return told();
  },
  // What a resource says with the access token: {"status"}.
  async resource({ url }) {
    const response = await client.fetchProtectedResource(config, tokens.access_token, new URL(url), "GET", undefined, undefined, bound());
    return { status: response.status };
  },
};

if (process.argv[2]) await start(JSON.parse(process.argv[2]));
await serve(verbs);

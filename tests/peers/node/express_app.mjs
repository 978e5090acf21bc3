// A web application made of express and express-openid-connect.
//
// Usage: node express_app.mjs '{"key", "certificate"}': its TLS in PEM
//
// It listens on two free ports: by https for people, by http for logout tokens. Then the lines of common.mjs:
//   {"do": "ports"}                       {"https", "http"}
//   {"do": "start", "settings", "keyed"?} the options of auth(); the application is another one from now on. `keyed`: it
//                                         proves itself by the pair of that name
// Pages: / {"authenticated", "user"?, "tokens"?}; /profile, for people who are signed in; /login, /callback, /logout.
import { once } from "node:events";
import { createServer as plain } from "node:http";
import { createServer as secure } from "node:https";
import { alter, installed, keys, meddling, pair, serve } from "./common.mjs";

const express = (await installed("express")).default;
const { auth, requiresAuth } = (await installed("express-openid-connect")).default;

/// A store as those of express-session are: here of the logout tokens that came.
function store() {
  const kept = new Map();
  return {
    get: (id, done) => done(null, kept.get(id)),
    set: (id, value, done) => done(null, kept.set(id, value)),
    destroy: (id, done) => done(null, kept.delete(id)),
  };
}

function application(options) {
  const app = express();
  app.use(auth({ ...options, authRequired: false, customFetch: meddling, enableTelemetry: false }));
  app.get("/", (req, res) => {
    const { user, idTokenClaims: claims, idToken: id_token, accessToken: access, refreshToken: refresh_token } = req.oidc;
    const tokens = { id_token, access_token: access?.access_token, refresh_token };
    res.json({ authenticated: req.oidc.isAuthenticated(), user, claims, tokens });
  });
  app.get("/profile", requiresAuth(), (req, res) => res.json(req.oidc.user));
  app.get("/userinfo", requiresAuth(), async (req, res) => res.json(await req.oidc.fetchUserInfo()));
  app.get("/refresh", requiresAuth(), async (req, res) => {
    const { access_token } = await req.oidc.accessToken.refresh();
    res.json({ access_token });
  });
  // What went wrong, as the library says it.
  app.use((error, req, res, _next) => {
    res.status(error.status ?? 500).json({ error: error.error ?? error.name, message: `${error.message} ${error.cause?.message ?? ""}` });
  });
  return app;
}

let current;
const handler = (req, res) => current(req, res);
const { key, certificate } = JSON.parse(process.argv[2]);
const servers = { https: secure({ key, cert: certificate }, handler), http: plain(handler) };
for (const server of Object.values(servers)) await once(server.listen(0, "127.0.0.1"), "listening");

await serve({
  alter,
  keys,
  ports: () => ({ https: servers.https.address().port, http: servers.http.address().port }),
  start({ settings, keyed }) {
    const options = { ...settings };
    if (options.backchannelLogout) options.backchannelLogout = { store: store() };
    if (keyed) options.clientAssertionSigningKey = pair(keyed).privateKey;
    if (options.requestObjectSigningAlg) options.requestObjectSigningKey = pair(keyed).privateKey;
    current = application(options);
  },
});

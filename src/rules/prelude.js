// What scripts see, as far as it is JavaScript. Evaluated once in each context, before any script; `host` is the only
// way out, and takes texts only: (number of the run, name of the call, arguments in JSON). Whatever a script does to the
// objects here, it has no more power than `host` grants to the script that runs. Intrinsics are taken before scripts can
// replace them.
export default function (host) {
  const { parse, stringify } = JSON;
  const { apply } = Reflect;
  const { create, defineProperty, freeze, keys } = Object;
  const NativePromise = Promise;
  const NativeError = Error;
  const text = String;
  // What waits for the host: timers and requests, by number.
  const waiting = create(null);

  class UnauthorizedError extends NativeError {
    constructor(message) {
      super(message);
      this.name = 'UnauthorizedError';
    }
  }

  const isObject = (value) => value !== null && typeof value === 'object';

  function words(thrown) {
    try {
      if (isObject(thrown) || typeof thrown === 'function') {
        const { message, name } = thrown;
        if (typeof message === 'string') {
          return typeof name === 'string' && name !== '' ? name + ': ' + message : message;
        }
        return text(stringify(thrown));
      }
      return text(thrown);
    } catch {
      return 'an error that cannot be read';
    }
  }

  // [text, stack, does it refuse the login?]
  function describe(thrown) {
    let stack = '';
    try {
      if (thrown instanceof UnauthorizedError || (thrown instanceof NativeError && thrown.name === 'UnauthorizedError')) {
        return stringify([text(thrown.message), '', true]);
      }
      stack = isObject(thrown) && typeof thrown.stack === 'string' ? thrown.stack : '';
    } catch {
      // A getter of the script's; the text says what there is to say.
    }
    return stringify([words(thrown), stack, false]);
  }

  function shown(value) {
    if (typeof value === 'string') return value;
    if (value instanceof NativeError || !isObject(value)) return words(value);
    try {
      return text(stringify(value));
    } catch (thrown) {
      return words(thrown);
    }
  }

  // Ends the run when what a script gave back is settled.
  async function settle(run, result, ends) {
    try {
      await result;
      if (ends) host(run, 'done', '');
    } catch (thrown) {
      host(run, 'failed', describe(thrown));
    }
  }

  function response({ status, headers, body }) {
    const find = (name) => {
      const wanted = text(name).toLowerCase();
      for (const [known, value] of headers) if (known.toLowerCase() === wanted) return value;
      return null;
    };
    return {
      status,
      ok: status >= 200 && status < 300,
      headers: { get: find, has: (name) => find(name) !== null },
      text: async () => body,
      json: async () => parse(body),
    };
  }

  function tools(run) {
    const ask = (name, ...args) => {
      const answer = host(run, name, stringify(args));
      return answer === undefined ? undefined : parse(answer);
    };
    const log = (level) => (...args) => {
      let line = level;
      for (let i = 0; i < args.length; i++) line += (i === 0 ? '' : ' ') + shown(args[i]);
      ask('log', line);
    };
    const plain = log('');
    const console = { log: plain, info: plain, debug: plain, warn: log('warning: '), error: log('error: ') };
    const setTimeout = (call, delay, ...args) => {
      if (typeof call !== 'function') throw new TypeError('setTimeout needs a function');
      const number = ask('timer', +delay || 0);
      waiting[number] = () => apply(call, undefined, args);
      return number;
    };
    const clearTimeout = (number) => {
      if (typeof number === 'number') {
        delete waiting[number];
        ask('timer.clear', number);
      }
    };
    const fetch = (url, options) =>
      new NativePromise((resolve, reject) => {
        const { method, headers, body } = options ?? {};
        const list = [];
        if (isObject(headers)) {
          if (typeof headers[Symbol.iterator] === 'function') for (const [name, value] of headers) list[list.length] = [text(name), text(value)];
          else for (const name of keys(headers)) list[list.length] = [name, text(headers[name])];
        }
        const asked = ask('fetch', text(url), method === undefined ? 'GET' : text(method), list, body == null ? null : text(body));
        waiting[asked] = (answer) => (typeof answer === 'string' ? reject(new TypeError(answer)) : resolve(response(answer)));
      });
    return { ask, console, setTimeout, clearTimeout, fetch };
  }

  // ---- Rules

  let user, context, configuration, shared, domain;

  function load(texts) {
    [user, context] = parse(texts);
  }

  function begin(secrets, kept, host_name) {
    configuration = freeze(parse(secrets));
    shared = parse(kept);
    domain = host_name;
  }

  function rule(run, make) {
    const { ask, console, setTimeout, clearTimeout, fetch } = tools(run);
    let called = false;
    const callback = (thrown, nextUser, nextContext) => {
      if (called) return;
      called = true;
      if (thrown) {
        host(run, 'failed', describe(thrown));
        return;
      }
      if (isObject(nextUser)) user = nextUser;
      if (isObject(nextContext)) context = nextContext;
      host(run, 'done', '');
    };
    const update = (name) => async (id, change) => {
      ask(name, id, change);
    };
    const users = { updateUserMetadata: update('updateUserMetadata'), updateAppMetadata: update('updateAppMetadata') };
    const auth0 = { domain, accessToken: undefined, users };
    const call = make(console, fetch, setTimeout, clearTimeout, configuration, shared, auth0, UnauthorizedError);
    if (typeof call !== 'function') throw new TypeError('a rule is a function (user, context, callback)');
    const result = call(user, context, callback);
    if (isObject(result)) settle(run, result, false);
  }

  const snapshot = () => stringify([user, context]);
  const keep = () => stringify(shared);

  // ---- Actions

  const SERVED = {
    access: ['deny'],
    idToken: ['setCustomClaim'],
    accessToken: ['setCustomClaim', 'addScope', 'removeScope'],
    user: ['setUserMetadata', 'setAppMetadata'],
    authentication: ['setPrimaryUser', 'recordMethod'],
    redirect: ['sendUserTo', 'encodeToken', 'validateToken', 'canRedirect'],
    cache: ['get', 'set', 'delete'],
    samlResponse: [
      'setAttribute', 'setAudience', 'setAuthnContextClassRef', 'setCert', 'setCreateUpnClaim', 'setDestination',
      'setDigestAlgorithm', 'setEncryptionAlgorithm', 'setEncryptionCert', 'setEncryptionPublicKey',
      'setIncludeAttributeNameFormat', 'setIssuer', 'setKey', 'setLifetimeInSeconds', 'setMapIdentities',
      'setMapUnknownClaimsAsIs', 'setNameIdentifierFormat', 'setNameIdentifierProbes',
      'setPassthroughClaimsWithNoMapping', 'setRecipient', 'setRelayState', 'setSignatureAlgorithm', 'setSignResponse',
      'setSigningCert', 'setTypedAttributes',
    ],
    transaction: ['setMetadata'],
    rules: ['wasExecuted'],
    validation: ['error'],
  };
  const NOT_SERVED = {
    authentication: ['challengeWith', 'challengeWithAny', 'enrollWith', 'enrollWithAny'],
    prompt: ['render'],
    session: ['revoke', 'setExpiresAt', 'setIdleExpiresAt', 'setMetadata', 'deleteMetadata', 'evictMetadata', 'setCookieMode'],
    refreshToken: ['revoke', 'setExpiresAt', 'setIdleExpiresAt', 'setMetadata', 'deleteMetadata', 'evictMetadata'],
    multifactor: ['enable'],
  };
  const GROUPS = keys({ ...SERVED, ...NOT_SERVED });
  // Their result is what the script gets; all others give `api`, so that calls can be chained.
  const ANSWERS = {
    'redirect.encodeToken': true, 'redirect.validateToken': true, 'redirect.canRedirect': true, 'rules.wasExecuted': true,
    'cache.get': true, 'cache.set': true, 'cache.delete': true,
  };

  function makeGroup(api, ask, group) {
    const made = {};
    for (const name of SERVED[group] ?? []) {
      const path = group + '.' + name;
      made[name] = ANSWERS[path] === true ? (...args) => ask(path, ...args) : (...args) => (ask(path, ...args), api);
    }
    for (const name of NOT_SERVED[group] ?? []) {
      made[name] = () => {
        throw new NativeError('api.' + group + '.' + name + ' is not served by this version');
      };
    }
    return made;
  }

  // Most scripts use one or two groups, so each is made when it is first looked at.
  function makeApi(ask) {
    const api = {};
    for (const group of GROUPS) {
      let made;
      defineProperty(api, group, { enumerable: true, get: () => (made ??= makeGroup(api, ask, group)) });
    }
    return api;
  }

  function require(name) {
    throw new NativeError('require(' + stringify(text(name)) + ') is not available: a script has no modules');
  }

  function action(run, make, eventText, secrets, entry, optional) {
    const { ask, console, setTimeout, clearTimeout, fetch } = tools(run);
    const event = parse(eventText);
    event.secrets = freeze(parse(secrets));
    event.configuration = {};
    const module = { exports: {} };
    apply(make(console, fetch, setTimeout, clearTimeout), module.exports, [module.exports, require, module]);
    const call = isObject(module.exports) ? module.exports[entry] : undefined;
    if (typeof call !== 'function') {
      if (optional) return host(run, 'done', '');
      throw new TypeError('the action does not export ' + entry);
    }
    settle(run, call(event, makeApi(ask)), true);
  }

  function wake(number, answer) {
    const call = waiting[number];
    delete waiting[number];
    if (call !== undefined) call(parse(answer));
  }

  return { load, begin, rule, snapshot, keep, action, wake, describe };
}

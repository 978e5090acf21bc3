// Sends people who have not accepted the terms to a page of ours, and takes them back when they have. The page gets a
// signed token that says who they are, and answers with one that says what they did, signed with
// the same secret: with `sub` and `state` as the page got them, `exp`, and `accepted`.
const VERSION = 2;

exports.onExecutePostLogin = async (event, api) => {
  if (event.user.app_metadata?.terms === VERSION) {
    return;
  }
  if (!api.redirect.canRedirect()) {
    api.access.deny('The terms must be accepted first.');
    return;
  }
  const token = api.redirect.encodeToken({
    secret: event.secrets.TERMS_SECRET,
    expiresInSeconds: 600,
    payload: { version: VERSION, continue_uri: 'https://' + event.request.hostname + '/continue' },
  });
  api.redirect.sendUserTo('https://terms.example.com/accept', { query: { session_token: token } });
};

exports.onContinuePostLogin = async (event, api) => {
  const answer = api.redirect.validateToken({ secret: event.secrets.TERMS_SECRET, tokenParameterName: 'session_token' });
  if (answer.accepted !== VERSION) {
    api.access.deny('Without the terms accepted, the application cannot be used.');
    return;
  }
  api.user.setAppMetadata('terms', VERSION);
};

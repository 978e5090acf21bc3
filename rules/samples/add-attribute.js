// Adds an attribute for people of one connection, for this login only: it goes to tokens and answers of this login, and is
// not stored.
function addAttribute(user, context, callback) {
  if (context.connection === 'acme') {
    user.company = 'Acme Ltd';
    context.idToken['https://example.com/company'] = user.company;
  }
  callback(null, user, context);
}

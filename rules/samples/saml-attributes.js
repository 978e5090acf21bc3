// Decides which attributes a SAML application gets: attribute name -> path in the user. The application's own table is
// replaced by this one for the login.
function samlAttributes(user, context, callback) {
  if (context.clientID !== 'payroll') {
    return callback(null, user, context);
  }
  context.samlConfiguration = context.samlConfiguration || {};
  context.samlConfiguration.mappings = {
    'urn:oid:0.9.2342.19200300.100.1.3': 'email',
    'urn:oid:2.5.4.42': 'given_name',
    'urn:example:food': 'user_metadata.favorite_food',
  };
  context.samlConfiguration.nameIdentifierFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';
  callback(null, user, context);
}

// Signs the person in as the user to whom this one belongs. Which one that is was decided before, by somebody who proved
// both accounts, and stands in app_metadata, which people cannot change. An equal e-mail address alone proves nothing, so
// both the address here must be verified and the link be recorded.
exports.onExecutePostLogin = async (event, api) => {
  const primary = event.user.app_metadata?.primary_user;
  if (typeof primary !== 'string' || primary === event.user.user_id) {
    return;
  }
  if (event.user.email_verified !== true) {
    console.log('not switched: the e-mail address is not verified');
    return;
  }
  api.authentication.setPrimaryUser(primary);
};

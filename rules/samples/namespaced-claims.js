// Puts profile data into tokens under names that belong to us, so that they collide with no claim of a standard.
const NAMESPACE = 'https://example.com/';

exports.onExecutePostLogin = async (event, api) => {
  const { department, employee_number } = event.user;
  for (const [name, value] of Object.entries({ department, employee_number, plan: event.user.app_metadata?.plan })) {
    if (value !== undefined) {
      api.idToken.setCustomClaim(NAMESPACE + name, value);
    }
  }
};

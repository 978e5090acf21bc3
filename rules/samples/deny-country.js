// Lets nobody in from listed countries. A proxy before the gateway says the country in the event's request; where it says
// nothing, the person is let in or not as the secret UNKNOWN_COUNTRY says (`allow` or `deny`).
exports.onExecutePostLogin = async (event, api) => {
  const refused = (event.secrets.REFUSED_COUNTRIES ?? '').split(',').map((code) => code.trim().toUpperCase());
  const country = event.request.geoip?.countryCode?.toUpperCase();
  const unknown = country === undefined && event.secrets.UNKNOWN_COUNTRY !== 'allow';
  if (unknown || refused.includes(country)) {
    api.access.deny('You cannot sign in from where you are.');
  }
};

// Lets nobody in whose e-mail address is not verified.
function forceVerifiedEmail(user, context, callback) {
  if (user.email_verified !== true) {
    return callback(new UnauthorizedError('Please verify your e-mail address before you sign in.'));
  }
  callback(null, user, context);
}

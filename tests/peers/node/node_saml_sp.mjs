// A SAML application made of node-saml: an independent judge of our responses.
//
// Usage: node node_saml_sp.mjs '{options of SAML}'
//
// Then one JSON object per line on stdin, and one answer per line on stdout:
//   {"do": "begin", "relay_state"}        {"url"}: where the browser goes, by redirect
//   {"do": "begin_form", "relay_state"}   {"form"}: the page that posts itself
//   {"do": "callback", "response"}        {"profile"}
//   {"do": "metadata", "decryption_cert", "cert"}   {"xml"}
// A failure is {"error", "message"}; the process goes on.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The package is installed below target/, not beside this file.
const from = createRequire(pathToFileURL(`${process.env.ISTHMUS_PEERS}/package.json`));
const { SAML } = from("@node-saml/node-saml");

const saml = new SAML({ validateInResponseTo: "always", ...JSON.parse(process.argv[2]) });

const commands = {
  begin: async ({ relay_state }) => ({ url: await saml.getAuthorizeUrlAsync(relay_state, undefined, {}) }),
  begin_form: async ({ relay_state }) => ({ form: await saml.getAuthorizeFormAsync(relay_state) }),
  callback: async ({ response }) => {
    const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: response });
    // Members that are functions hold the assertion; JSON leaves them out.
    return { profile };
  },
  metadata: async ({ decryption_cert, cert }) => ({ xml: saml.generateServiceProviderMetadata(decryption_cert, cert) }),
};

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    say(await commands[command.do](command));
  } catch (error) {
    say({ error: error.name, message: error.message });
  }
}

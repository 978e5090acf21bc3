// A program that uses Auth0's ManagementClient, with nothing changed but the domain.
//
// Usage: node management.mjs '{"domain", "client_id", "client_secret"}'
//
// Then one JSON object per line on stdin, and one answer per line on stdout:
//   {"call": "clients.create", "arguments": [..]}   {"result"}
// A list is read to its end, page by page. A failure is {"error", "message", "status", "body"}; the process goes on.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The package is installed below target/, not beside this file.
const from = createRequire(pathToFileURL(`${process.env.ISTHMUS_PEERS}/package.json`));
const { ManagementClient } = from("auth0");

const settings = JSON.parse(process.argv[2]);
const management = new ManagementClient({
  domain: settings.domain,
  clientId: settings.client_id,
  clientSecret: settings.client_secret,
  maxRetries: 0,
});

const all = async (answer) => {
  if (typeof answer?.hasNextPage !== "function") return answer ?? null;
  const items = [...answer.data];
  for (let page = answer; page.hasNextPage(); ) {
    page = await page.getNextPage();
    items.push(...page.data);
  }
  return items;
};

const perform = async ({ call, arguments: values = [] }) => {
  const steps = call.split(".");
  const method = steps.pop();
  const resource = steps.reduce((inner, step) => inner[step], management);
  return { result: await all(await resource[method](...values)) };
};

console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await perform(JSON.parse(line))));
  } catch (error) {
    const { name, message, statusCode: status, body } = error;
    console.log(JSON.stringify({ error: name, message, status, body }));
  }
}

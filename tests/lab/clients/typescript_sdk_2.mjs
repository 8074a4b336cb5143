// The TypeScript SDK 2.x as a client: typescript_sdk_2.mjs URL legacy|modern. Fails loudly, says nothing otherwise.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.LAB_PACKAGES}/package.json`);
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(require.resolve('@modelcontextprotocol/client')).href);

const [url, era] = process.argv.slice(2);
const modern = era === 'modern' ? { versionNegotiation: { mode: { pin: '2026-07-28' } } } : {};
const client = new Client({ name: 'scenario', version: '1' }, { capabilities: { elicitation: { form: {} } }, ...modern });
client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { name: 'Ada' } }));
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
assert.equal(Boolean(transport.sessionId), era === 'legacy');

const text = (result) => result.content[0].text;
const { tools } = await client.listTools();
assert.ok(tools.some((tool) => tool.name === 'greet'));
const answers = await Promise.all([...Array(20).keys()].map((i) => client.callTool({ name: 'echo', arguments: { message: `m${i}` } })));
answers.forEach((answer, i) => assert.equal(text(answer), `m${i}`));

const steps = [];
const counted = await client.callTool({ name: 'count', arguments: { to: 5 } }, { onprogress: (p) => steps.push(p.progress) });
assert.equal(text(counted), 'counted to 5');
assert.deepEqual(steps, [1, 2, 3, 4, 5]);
if (era === 'legacy') {
  // In the modern era a server asks within its answer, and this one does not.
  assert.equal(text(await client.callTool({ name: 'greet', arguments: {} })), 'Hello, Ada!');
}
await client.close();

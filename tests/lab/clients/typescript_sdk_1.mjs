// The TypeScript SDK 1.x as a client: typescript_sdk_1.mjs URL. Fails loudly, says nothing otherwise.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.LAB_PACKAGES}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { ElicitRequestSchema } = await load('@modelcontextprotocol/sdk/types.js');

const client = new Client({ name: 'scenario', version: '1' }, { capabilities: { elicitation: {} } });
client.setRequestHandler(ElicitRequestSchema, async () => ({ action: 'accept', content: { name: 'Ada' } }));
const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
await client.connect(transport);
assert.ok(transport.sessionId);

const text = (result) => result.content[0].text;
const { tools } = await client.listTools();
assert.ok(tools.some((tool) => tool.name === 'greet'));
const answers = await Promise.all([...Array(20).keys()].map((i) => client.callTool({ name: 'echo', arguments: { message: `m${i}` } })));
answers.forEach((answer, i) => assert.equal(text(answer), `m${i}`));

const steps = [];
const counted = await client.callTool({ name: 'count', arguments: { to: 5 } }, undefined, { onprogress: (p) => steps.push(p.progress) });
assert.equal(text(counted), 'counted to 5');
assert.deepEqual(steps, [1, 2, 3, 4, 5]);
assert.equal(text(await client.callTool({ name: 'greet', arguments: {} })), 'Hello, Ada!');

await transport.terminateSession();
await client.close();

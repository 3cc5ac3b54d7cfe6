// Runs Azurite's table service in memory and prints its address when it listens. It ends when its
// stdin does: with the tests that started it, however they end.
//
//   node run.js [--port PORT] [--cert FILE --key FILE] [--oauth basic]
//
// Its server is started without Azurite's own main: that one does not say which free port it was
// given, and turns telemetry on.

const { createRequire } = require('node:module')
const { join } = require('node:path')
const { parseArgs } = require('node:util')

const installed = createRequire(join(__dirname, '../../.tools/azurite/'))
const TableConfiguration = installed('azurite/dist/src/table/TableConfiguration').default
const TableServer = installed('azurite/dist/src/table/TableServer').default

const string = { type: 'string' }
const { values } = parseArgs({ options: { port: string, cert: string, key: string, oauth: string } })

const configuration = Object.assign(new TableConfiguration(), {
  ...values,
  port: Number(values.port ?? 0),
  isMemoryPersistence: true,
  skipApiVersionCheck: true,
  enableAccessLog: false,
  enableDebugLog: false
})
const server = new TableServer(configuration)

process.stdin.resume().on('end', () => process.exit())

server.start().then(
  () => console.log(server.getHttpServerAddress()),
  error => {
    console.error(error.message)
    process.exit(1)
  }
)

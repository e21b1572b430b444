// Calls that are signed by public libraries as they are. Prints what each call was answered.
import { createRequire } from 'node:module'
import http from 'node:http'

const told = JSON.parse(process.env.TOLD)
const load = createRequire(told.modules)
const { hostname, port, host } = new URL(told.apiUrl)

const send = ({ method, path, headers, body }) => new Promise((resolve, reject) => {
  const request = http.request({ hostname, port, method, path, headers, agent: false }, answer => {
    const parts = []
    answer.on('data', part => parts.push(part))
    answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(parts).toString() }))
  })
  request.on('error', reject)
  request.end(body)
})

const escher = call => {
  const Escher = load('escher-auth')
  const signer = new Escher({
    accessKeyId: told.id,
    apiSecret: told.secret,
    algoPrefix: 'ANTAVO',
    vendorKey: 'Antavo',
    authHeaderName: 'Authorization',
    dateHeaderName: 'Date',
    credentialScope: told.scope,
    hashAlgo: call.hash ?? 'SHA256',
  })
  const typed = call.body === undefined ? [] : [['content-type', 'application/json']]
  const options = { method: call.method, host, url: call.path, headers: [['host', host], ...typed] }
  const signed = signer.signRequest(options, call.body ?? '', call.sign ?? [])
  return { ...call, path: signed.url, headers: Object.fromEntries(signed.headers) }
}

const aws4 = call => {
  const [region, service] = told.scope.split('/')
  const headers = call.body === undefined ? {} : { 'Content-Type': 'application/json' }
  const options = { host, path: call.path, method: call.method, service, region, headers, body: call.body }
  const signed = load('aws4').sign(options, { accessKeyId: told.id, secretAccessKey: told.secret })
  return { ...call, path: signed.path, headers: signed.headers }
}

const sign = { 'escher-auth': escher, aws4 }[told.library]
const answers = []
for (const call of told.calls) answers.push(await send(sign(call)))
console.log(JSON.stringify(answers))

// Calls of a page through the vendor's client library. Prints what each call was answered.
import { createRequire } from 'node:module'

const told = JSON.parse(process.env.TOLD)
const { VoucherifyClientSide } = createRequire(told.modules)('@voucherify/sdk')
const client = VoucherifyClientSide({
  apiUrl: told.apiUrl,
  clientApplicationId: told.id,
  clientSecretKey: told.secret,
  origin: told.origin,
})

const calls = []
const errors = []
const call = async made => {
  try {
    calls.push(await made())
  } catch (error) {
    errors.push({ code: error.code, key: error.key, message: error.message })
  }
}

await call(() => client.validateStackable({ redeemables: [{ object: 'voucher', id: 'WELCOME' }] }))
await call(() => client.redeemStackable({ redeemables: [{ object: 'voucher', id: 'WELCOME' }] }))
await call(() => client.track('opened', { source_id: 'c1' }))

console.log(JSON.stringify({ calls, errors }))

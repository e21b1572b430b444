// Calls of a back end through the vendor's client library. Prints what each call was answered.
import { createRequire } from 'node:module'

const told = JSON.parse(process.env.TOLD)
const { VoucherifyServerSide } = createRequire(told.modules)('@voucherify/sdk')
const client = VoucherifyServerSide({
  apiUrl: told.apiUrl,
  applicationId: told.id,
  secretKey: told.secret,
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

await call(() => client.vouchers.list({ limit: 3 }))
await call(() => client.vouchers.get('WELCOME 10'))
await call(() => client.vouchers.create({ code: 'NEW-1', type: 'DISCOUNT_VOUCHER', discount: { type: 'AMOUNT', amount_off: 1000 } }))
await call(() => client.customers.list())
await call(() => client.customers.create({ source_id: 'c1', name: 'Zoë' }))
await call(() => client.campaigns.list())
await call(() => client.validations.validateStackable({ redeemables: [{ object: 'voucher', id: 'WELCOME' }] }))
await call(() => client.redemptions.redeemStackable({ redeemables: [{ object: 'voucher', id: 'WELCOME' }] }))
await call(() => client.vouchers.delete('NEW-1'))

console.log(JSON.stringify({ calls, errors }))

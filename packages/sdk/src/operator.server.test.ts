import { describe } from 'vitest'
import { operatorContract } from './operator.contract.ts'

describe('operators of the SDK on a socket', () => {
  operatorContract({ settings: {}, token: undefined, urlOf: ({ url }) => url })
})

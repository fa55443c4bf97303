import { describe, expect, test } from 'vitest'
import { errorAnswer } from './error-edge.ts'

describe('errors at the edge', () => {
  test.each([{ code: 'ENOSPC' }, { code: 'EDQUOT' }, { code: 'ERR_SQLITE_ERROR', errcode: 13 }])(
    '[HTTP-25] a full disk is said, to the caller and in the log: %o',
    fields => {
      const answer = errorAnswer(Object.assign(new Error('no space left'), fields), 'id')
      expect(answer).toMatchObject({ status: 503, isBug: true, headers: { 'retry-after': '1' } })
      expect(answer.body.error).toMatchObject({
        code: 'server.busy',
        message: expect.stringContaining('full') as string,
      })
    },
  )
})

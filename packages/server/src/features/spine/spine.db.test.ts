import { onDatabases } from '#db/testing'
import { messagesContract } from './messages.contract.ts'
import { schemasContract } from './schemas.contract.ts'
import { queueContract, type OpenSpine } from './spine.contract.ts'
import { upkeepContract } from './upkeep.contract.ts'
import { testSpine } from './testing.ts'

onDatabases('the Spine in the database', databases => {
  const open: OpenSpine = async options => testSpine(await databases.open(), options)
  queueContract(open)
  upkeepContract(open)
  messagesContract(open)
  schemasContract(open)
})

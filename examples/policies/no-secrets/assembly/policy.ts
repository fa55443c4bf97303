// A policy in AssemblyScript: lets no private key and no access key of a cloud on the bus, whatever message it is in.
//
//     npm install && npm run build     (in examples/policies)
//
// and then, with a token that has the scope `admin`:
//
//     PUT /api/policies/no-secrets  { "topics": ">", "module": "<policy.wasm in base64>" }

@external('env', 'host_log')
declare function host_log(level: i32, at: usize, length: i32): i32
@external('env', 'host_get_header')
declare function host_get_header(nameAt: usize, nameLength: i32, outAt: usize): i32
@external('env', 'host_reject')
declare function host_reject(number: i32, at: usize, length: i32): i32

const privateKey: StaticArray<u8> = text('PRIVATE KEY-----')
const accessKey: StaticArray<u8> = text('AKIA')
const accessKeyLength = 20
const topicHeader: StaticArray<u8> = text('topic')
const keyFound: StaticArray<u8> = text('there is a private key in it')
const accessKeyFound: StaticArray<u8> = text('there is an access key in it')

/** Where the host puts the payload. */
export function policy_alloc(length: i32): usize {
  return heap.alloc(length)
}

/** 0 lets the message pass. */
export function policy_check(at: usize, length: i32): i32 {
  for (let from = 0; from < length; from++) {
    if (isAt(privateKey, at, from, length)) return refuse(1, keyFound)
    if (isAt(accessKey, at, from, length) && isAccessKey(at, from, length)) return refuse(2, accessKeyFound)
  }
  return 0
}

/** Four letters that anybody may write, and sixteen more capitals or digits, which nobody does by chance. */
function isAccessKey(at: usize, from: i32, length: i32): bool {
  if (from + accessKeyLength > length) return false
  for (let n = accessKey.length; n < accessKeyLength; n++) {
    const byte = load<u8>(at + from + n)
    const isCapital = byte >= 0x41 && byte <= 0x5a
    const isDigit = byte >= 0x30 && byte <= 0x39
    if (!isCapital && !isDigit) return false
  }
  return true
}

function isAt(wanted: StaticArray<u8>, at: usize, from: i32, length: i32): bool {
  if (from + wanted.length > length) return false
  for (let n = 0; n < wanted.length; n++) if (load<u8>(at + from + n) != unchecked(wanted[n])) return false
  return true
}

/** Says in the log of the server where it happened, and why to whoever sent the message. */
function refuse(number: i32, why: StaticArray<u8>): i32 {
  const topic = heap.alloc(1024)
  const length = host_get_header(changetype<usize>(topicHeader), topicHeader.length, topic)
  if (length > 0) host_log(1, topic, length)
  return host_reject(number, changetype<usize>(why), why.length)
}

function text(written: string): StaticArray<u8> {
  const bytes = new StaticArray<u8>(written.length)
  for (let n = 0; n < written.length; n++) unchecked((bytes[n] = <u8>written.charCodeAt(n)))
  return bytes
}

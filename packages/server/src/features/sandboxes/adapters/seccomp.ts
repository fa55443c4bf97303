/**
 * The system call filter of the process sandbox, as the BPF program that bubblewrap installs.
 *
 * It refuses what namespaces and resource limits leave open: new namespaces, other processes, sockets, devices, links,
 * kernel interfaces with a history of holes, and every call that is newer than this table.
 */

export type Machine = 'x64' | 'arm64'

/** The filter for a machine, or undefined for one whose system call numbers are not in the table. */
export function seccompFilter(architecture: string): Uint8Array | undefined {
  return architecture === 'x64' || architecture === 'arm64' ? assemble(program(architecture)) : undefined
}

interface Instruction {
  readonly code: number
  readonly jumpTrue?: number
  readonly jumpFalse?: number
  readonly k: number
}

// Operation codes of classic BPF (linux/bpf_common.h) and verdicts of seccomp (linux/seccomp.h).
const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_GREATER_OR_EQUAL = 0x35
const JUMP_ANY_BIT = 0x45
const RETURN = 0x06
const ALLOW = 0x7fff0000
const KILL_PROCESS = 0x80000000
const EPERM = 0x00050001
const ENOSYS = 0x00050026

// Offsets in struct seccomp_data; the low half of an argument comes first on both machines.
const NUMBER = 0
const ARCHITECTURE = 4
const argument = (index: number): number => 16 + 8 * index

const AUDIT_ARCHITECTURE: Record<Machine, number> = { x64: 0xc000003e, arm64: 0xc00000b7 }
/** `mseal`, the newest call that was looked at for this table. */
const NEWEST_KNOWN = 462
const X32_BIT = 0x40000000

const CLONE_THREAD = 0x00010000
/** CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NEW_NAMESPACE = 0x7e020080
const AF_UNIX = 1
/** TIOCSTI and TIOCLINUX push characters into a terminal's input. */
const TERMINAL_INJECTION = [0x5412, 0x541c]

function program(machine: Machine): Instruction[] {
  const at = machine === 'x64' ? 0 : 1
  const checked = checkedCalls(machine)
  const refused = Object.values(refusedCalls).flatMap(numbers => numbers[at] ?? [])
  return [
    { code: LOAD_WORD, k: ARCHITECTURE },
    { code: JUMP_EQUAL, k: AUDIT_ARCHITECTURE[machine], jumpTrue: 1 },
    verdict(KILL_PROCESS),
    { code: LOAD_WORD, k: NUMBER },
    ...(machine === 'x64' ? when(JUMP_GREATER_OR_EQUAL, X32_BIT, [verdict(ENOSYS)]) : []),
    ...when(JUMP_GREATER_OR_EQUAL, NEWEST_KNOWN + 1, [verdict(ENOSYS)]),
    ...refused.flatMap(number => when(JUMP_EQUAL, number, [verdict(EPERM)])),
    // glibc tries clone3 first, whose flags a filter cannot see, and falls back to clone when it is not there.
    ...when(JUMP_EQUAL, checked.clone3, [verdict(ENOSYS)]),
    ...when(JUMP_EQUAL, checked.clone, [
      { code: LOAD_WORD, k: argument(0) },
      ...when(JUMP_ANY_BIT, CLONE_NEW_NAMESPACE, [verdict(EPERM)]),
      ...when(JUMP_ANY_BIT, CLONE_THREAD, [verdict(ALLOW)]),
      verdict(EPERM),
    ]),
    ...when(JUMP_EQUAL, checked.socketpair, [
      { code: LOAD_WORD, k: argument(0) },
      ...when(JUMP_EQUAL, AF_UNIX, [verdict(ALLOW)]),
      verdict(EPERM),
    ]),
    ...when(JUMP_EQUAL, checked.ioctl, [
      { code: LOAD_WORD, k: argument(1) },
      ...TERMINAL_INJECTION.flatMap(request => when(JUMP_EQUAL, request, [verdict(EPERM)])),
      verdict(ALLOW),
    ]),
    verdict(ALLOW),
  ]
}

function verdict(k: number): Instruction {
  return { code: RETURN, k }
}

/** The body runs when the test holds and is jumped over otherwise. */
function when(code: number, k: number, body: readonly Instruction[]): Instruction[] {
  return [{ code, k, jumpFalse: body.length }, ...body]
}

function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(instructions.length * 8))
  instructions.forEach(({ code, jumpTrue = 0, jumpFalse = 0, k }, index) => {
    bytes.setUint16(index * 8, code, true)
    bytes.setUint8(index * 8 + 2, jumpTrue)
    bytes.setUint8(index * 8 + 3, jumpFalse)
    bytes.setUint32(index * 8 + 4, k, true)
  })
  return new Uint8Array(bytes.buffer)
}

interface CheckedCalls {
  readonly clone: number
  readonly clone3: number
  readonly socketpair: number
  readonly ioctl: number
}

function checkedCalls(machine: Machine): CheckedCalls {
  return machine === 'x64'
    ? { clone: 56, clone3: 435, socketpair: 53, ioctl: 16 }
    : { clone: 220, clone3: 435, socketpair: 199, ioctl: 29 }
}

/** Numbers on x64 and arm64; a call that a machine does not have is left out. */
export const refusedCalls: Readonly<Record<string, readonly [number | undefined, number | undefined]>> = {
  // Network
  socket: [41, 198],
  connect: [42, 203],
  accept: [43, 202],
  bind: [49, 200],
  listen: [50, 201],
  accept4: [288, 242],
  // Other processes, seen from here or made here
  fork: [57, undefined],
  vfork: [58, undefined],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  kcmp: [312, 272],
  pidfd_getfd: [438, 438],
  // Namespaces and mounts
  unshare: [272, 97],
  setns: [308, 268],
  chroot: [161, 51],
  pivot_root: [155, 41],
  mount: [165, 40],
  umount2: [166, 39],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  // Links and devices would outlive the sandbox in the run's folder and mislead whoever reads it outside
  symlink: [88, undefined],
  symlinkat: [266, 36],
  mknod: [133, undefined],
  mknodat: [259, 33],
  // Files by handle go around the mount namespace
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  // Kernel interfaces
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  fanotify_init: [300, 262],
  memfd_secret: [447, 447],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  personality: [135, 92],
  modify_ldt: [154, undefined],
  iopl: [172, undefined],
  ioperm: [173, undefined],
  migrate_pages: [256, 238],
  move_pages: [279, 239],
  lookup_dcookie: [212, 18],
  uselib: [134, undefined],
  _sysctl: [156, undefined],
  // The machine
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  syslog: [103, 116],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  nfsservctl: [180, 42],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  clock_adjtime: [305, 266],
  adjtimex: [159, 171],
}

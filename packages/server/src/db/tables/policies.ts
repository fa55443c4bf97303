export interface PolicyTable {
  readonly organisation: string
  readonly name: string
  /** A pattern of topics. */
  readonly topics: string
  readonly version: number
  /** 0 or 1. */
  readonly is_active: number
  /** SHA-256 of the module. */
  readonly digest: string
  readonly module: Uint8Array
  readonly changed_by: string
  readonly changed_at: number
}

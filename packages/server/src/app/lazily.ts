/** Something that is opened when it is first needed. */
export interface Lazy<T> {
  /** Opens it if nobody has yet. A failure is told to all who wait; the next one who asks tries again. */
  get(): Promise<T>
  /** What is open, without opening it. */
  opened(): Promise<T | null>
}

export function lazily<T>(open: () => Promise<T>): Lazy<T> {
  let opening: Promise<T> | null = null
  return {
    get() {
      if (opening) return opening
      const attempt = open()
      opening = attempt
      attempt.catch(() => {
        if (opening === attempt) opening = null
      })
      return attempt
    },
    opened: async () => (opening ? opening.catch(() => null) : null),
  }
}

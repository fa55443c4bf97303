/** Whether `place` is the URL of a Postgres, and not a SQLite file. */
export function isPostgres(place: string): boolean {
  return /^postgres(ql)?:\/\//i.test(place)
}

import { assetFolder, assetRoute } from '#http/assets'
import type { Handler } from '#http/handler'

/** The page. Its own links are paths of the page, which finds its way by them. */
export function pageRoutes(): Handler[] {
  return [
    assetRoute(['/', '/runs/:id', '/plans/:id'], new URL('./page/index.html', import.meta.url)),
    assetFolder('/page', new URL('./page/', import.meta.url)),
  ]
}

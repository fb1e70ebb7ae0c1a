/** How TypeDoc reads the public face of tiny-sip: what is exported and not documented is an error. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, ReflectionKind } from 'typedoc';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');

export default {
  name: 'tiny-sip',
  entryPoints: [join(root, 'src/tiny-sip/index.ts')],
  tsconfig: join(here, 'tsconfig.json'),
  readme: join(root, 'src/tiny-sip/README.md'),
  out: join(root, 'build/api'),
  disableSources: true,
  disableGit: true,
  githubPages: false,
  excludePrivate: true,
  excludeInternal: true,
  // `tsc` does that for the whole house.
  skipErrorChecking: true,
  treatWarningsAsErrors: true,
  validation: {
    notExported: true,
    invalidLink: true,
    invalidPath: true,
    rewrittenLink: true,
    notDocumented: true,
  },
  requiredToBeDocumented: ['Function', 'Class', 'Interface', 'TypeAlias', 'Variable', 'Method', 'Accessor'],
  plugin: [propertiesToo],
};

/** Asks for properties too, but not for those of an object type that stands inside another: its holder tells of them. */
function propertiesToo(app) {
  app.on(Application.EVENT_VALIDATE_PROJECT, (project) => {
    for (const property of project.getReflectionsByKind(ReflectionKind.Property)) {
      if (!property.parent?.kindOf(ReflectionKind.ClassOrInterface) || property.hasComment()) continue;
      // Those of Error are Node's own.
      if (property.flags.isExternal || property.flags.isInherited) continue;
      const callback =
        property.type?.type === 'reflection' ? property.type.declaration.signatures : undefined;
      if (callback?.some((signature) => signature.hasComment())) continue;
      app.logger.validationWarning(`${property.getFullName()} (Property) does not have any documentation`);
    }
  });
}

import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import hooks from 'eslint-plugin-react-hooks';
import ts from 'typescript-eslint';

const root = new URL('../..', import.meta.url).pathname;

export default ts.config(
  { ignores: ['**/node_modules/**', '**/lib/**', 'jupyter_mlops/**'] },
  {
    files: ['labextension/src/**/*.{ts,tsx}'],
    extends: [js.configs.recommended, ts.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['labextension/tsconfig.json'],
        tsconfigRootDir: root
      }
    },
    plugins: { 'react-hooks': hooks },
    rules: {
      ...hooks.configs.recommended.rules,
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true }
      ],
      '@typescript-eslint/no-namespace': 'off',
      // A signal is given `this` beside the slot.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true }
      ],
      curly: ['error', 'all'],
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        {
          selector: 'JSXAttribute[name.name="dangerouslySetInnerHTML"]',
          message: 'Text reaches the page through React alone.'
        },
        {
          selector: 'AssignmentExpression[left.property.name="innerHTML"]',
          message: 'Text reaches the page through React alone.'
        },
        {
          selector: 'CallExpression[callee.name="fetch"]',
          message: 'Go through src/api.ts: it adds the token and XSRF.'
        }
      ],
      'prefer-arrow-callback': 'error'
    }
  },
  {
    files: ['labextension/checks/tests/**/*.{ts,tsx}'],
    extends: [js.configs.recommended, ts.configs.recommended]
  },
  { plugins: { jupyter } },
  ...jupyter.configs.recommended,
  {
    files: ['labextension/checks/**'],
    rules: { 'jupyter/no-untranslated-string': 'off' }
  },
  {
    files: ['labextension/src/**/*.{ts,tsx}'],
    rules: {
      // These are the extension points themselves: activation needs them at once.
      'jupyter/prefer-lazy-imports': [
        'warn',
        {
          ignoreImports: ['../workspace', '../panels/*', '../mime/renderer']
        }
      ]
    }
  }
);

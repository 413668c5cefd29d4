import js from "@eslint/js";

export default [
    { ignores: ["**/.*/", "build/", "dist/"] },
    js.configs.recommended,
    {
        rules: {
            "no-undef": "off", // tsc knows every name
            "no-console": "error",
            eqeqeq: "error",
            "prefer-const": "error",
            "no-var": "error",
        },
    },
];

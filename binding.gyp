{
  "targets": [
    {
      "target_name": "secateur",
      "type": "none",
      "actions": [
        {
          "action_name": "build",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/secateur.node"],
          "action": ["node", "scripts/build.mjs"]
        }
      ]
    }
  ]
}
